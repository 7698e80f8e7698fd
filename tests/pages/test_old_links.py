"""Links that people may have kept: from the first README's table of names, and from tests of the first versions.

A link is a promise: this list grows, and no line of it is changed or taken out.
"""

from urllib.parse import parse_qsl

import pytest

from viz.ui.choices import CHOICES

LINKS = """
?text=A+dog
tokenization?text=ein+H%C3%A4uschen&token=2
embeddings?layer=1&head=2&token=3
embeddings?text=the+dog+and+the+cat&token=4
attention?layer=2
attention?layer=1&head=2
attention?text=the+dog+and+the+cat&layer=3&head=2&token=4&key=1
attention?text=The+dog+barked.%0A%0AThe+cat+sat.&segment=A+→+B
attention?graph=arcs&top=2
attention?graph=layers&top=8&least=0.05
attention?show=all&combine=max
attention?show=layer&layer=1
attention?show=chosen&heads=1.2,+3.*,+*.1
attention?units=words&sink=renormalise
attention?units=sentences&sink=hide&text=A+dog+barked.+It+ran.
attention?scale=log&range=fitted
attention?layer=1&panel=sums+of+tokens
attention?panel=received+and+given
attention?model=translator&kind=cross&target=le+chat
attention?model=encoder&layer=1
head?text=the+dog+and+the+cat&layer=1&head=1&token=3&key=2
mechanism?mask_off=true&head=3
mechanism?scale_off=true&positions_off=true&head_off=true&softmax_temperature=0.5&layer=2&head=4
mechanism?head_uniform=true&row_off=true&edge_off=true&head=3&token=4&key=1
translation?text=I+saw+a+black+cat.&across=head&layer=2&head=3
translation?text=I+saw+a+black+cat.&across=layer&between=tokens&aligned=grow-diag&step=2&width=3&penalty=0.6
translation?text=I+saw+a+cat.&target=le+chat&reference=un+chat
understanding?section=both&maps=head&layer=1&head=2&decoder_layer=2&decoder_head=3
understanding?section=sentiment&text=the+plot+is+dull
understanding?section=similarity&text=A+dog&second=A+wolf&compared=1
""".split()


@pytest.mark.parametrize("link", LINKS)
def test_an_old_link_still_says_what_it_said(open_page, link):
    page, _, query = link.partition("?")
    wanted = dict(parse_qsl(query))
    app = open_page(page or "home", **wanted)
    assert not app.exception and not app.error
    assert not [info.value for info in app.info if "link" in info.value], "something was dropped"
    kept = app.session_state.memory.chosen  # also for other pages
    for name, value in wanted.items():
        assert kept[name] == CHOICES[name].parse(value)
