"""Pictures that came from a browser: what draws stays as it was, all else is gone."""

import re

import pytest

from tests.offline.test_page import script, unpack
from viz.offline.report import Reading, View, report
from viz.offline.vectors import Drawing, cleaned

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{}</svg>'
DRAWS = (
    '<clipPath id="cut-0"><rect width="4" height="5" /></clipPath><g clip-path="url(#cut-0)" style="fill: #123456">'
    '<text x="1" y="2" xml:space="preserve"> &lt;b&gt; </text><image href="data:image/png;base64,AAAA" /></g>'
)


def test_what_draws_stays_as_it_was():
    assert cleaned(SVG.format(DRAWS)) == SVG.format(DRAWS)
    old = '<image xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="data:image/png;base64,AAAA" />'
    assert cleaned(SVG.format(old)) == SVG.format('<image href="data:image/png;base64,AAAA" />')


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>window.hit = 1</script>",
        "<style>@import url(http://x)</style>",
        "<foreignObject><p>x</p></foreignObject>",
        '<a href="http://x"><text>x</text></a>',
        '<p xmlns="http://www.w3.org/1999/xhtml">x</p>',
        '<set attributeName="href" to="http://x" />',
        '<use href="http://x/#y" />',
    ],
)
def test_what_does_not_draw_is_gone(hostile):
    assert cleaned(SVG.format(hostile)) == SVG.format("").replace("></svg>", " />")


@pytest.mark.parametrize(
    "hostile",
    [
        'onclick="hit()"',
        'href="http://x"',
        'href="javascript:hit()"',
        'href="data:image/svg+xml,x"',
        'style="fill: url(http://x)"',
        "style=\"fill: URL( '//x' )\"",
        'xmlns:x="http://x" x:href="#y"',
    ],
)
def test_what_leads_away_is_gone(hostile):
    assert cleaned(SVG.format(f"<rect {hostile} />")) == SVG.format("<rect />")


@pytest.mark.parametrize(
    "text", ["", "<p>", "<p/>", "<svg/>", f"<!DOCTYPE svg>{SVG}", SVG.format("<g>" * 2000 + "</g>" * 2000)]
)
def test_what_is_no_picture_is_refused(text):
    with pytest.raises(ValueError):
        cleaned(text)


def test_a_report_holds_them_to_the_last_letter():
    drawings = [Drawing("Bars <b>", "layer 0", cleaned(SVG.format(DRAWS))), Drawing("Lines", "", SVG.format("é"))]
    html = report([Reading("a text", "A model", "f", [], views=[View("A page", drawings=drawings)])])
    said, arrays = unpack(script(html, "data"), script(html, "numbers"))
    places = [each["$columns"]["svg"] for each in said["readings"][0]["views"][0]["drawings"]]
    assert [arrays[place].tobytes().decode() for place in places] == [each.svg for each in drawings]
    assert re.findall(r"</div><figcaption>(.*?)<", html) == ["Bars &lt;b&gt; · layer 0", "Lines"]
