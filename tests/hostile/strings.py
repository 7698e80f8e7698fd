"""Hostile strings: what a stranger may put into a link, a text, the name of a folder, a vocabulary.

Every atom asks for something that must not happen: a link, a picture that the browser fetches, a sign turned into
another. `texts` mixes them with long runs, odd characters and names of special tokens, from one seed.
"""

import random
from collections.abc import Iterator

ELSEWHERE = "evil.example"  # nobody's, by RFC 2606: a request to it is one too many

# of Streamlit's Markdown, of HTML, of plotly's little HTML and its templates, of LaTeX
ATOMS = (
    f"[link](http://{ELSEWHERE}/)",
    f"![picture](http://{ELSEWHERE}/i.png)",
    f"[r]: http://{ELSEWHERE}/r",
    f"<http://{ELSEWHERE}/a>",
    f"http://{ELSEWHERE}/bare",
    f"www.{ELSEWHERE}",
    f"someone@{ELSEWHERE}",
    f'<img src="http://{ELSEWHERE}/j.png" onerror="alert(1)">',
    f'<a href="http://{ELSEWHERE}/h">a</a>',
    f"<script>fetch('http://{ELSEWHERE}/s')</script>",
    f"<style>@import 'http://{ELSEWHERE}/c.css'</style>",
    f"</div></style></script><iframe src='http://{ELSEWHERE}/f'>",
    f"javascript:fetch('//{ELSEWHERE}')",
    f"url(http://{ELSEWHERE}/u.png)",
    ":material/home:",
    ":material_home:",
    ":streamlit:",
    ":smile:",
    ":red[red]",
    ":color[x]{foreground=red}",
    "a -> b",
    "`code` **bold** ~~gone~~ _it_",
    "$x^2$ $$y$$",
    "# title",
    "1. one",
    "| a | b |\n|---|---|",
    "%{customdata[0]} {0} {x!r} %s",
    "<b>b</b><br><sup>2</sup>",
    "&lt;b&gt; &#60;",
)
ODD = (
    "\x00",
    "\u202e\u2066",
    "\u200b\ufeff\u2028\u2029",
    "\ud83d",  # half a character
    "\U0010ffff\uffff",
    "e" + "\u0301" * 40,
    "👨‍👩‍👧‍👦🏳️‍🌈",
    "猫坐在垫子上",
    "مرحبا",
    "[MASK] <|endoftext|> </s> <s> [CLS] [SEP] <unk>",
    "\r\n\t\v\f",
    "\n\n",
    " ",
    "0",
    "-1",
    "1e999",
    "nan",
    "../" * 20,
    "~/..",
    "C:\\con",
    "a" * 300,
    "ab " * 200,
    "1," * 300,
    "*.*",
    "9" * 400,
    "true",
    "{}[]()",
)


def texts(seed: int) -> Iterator[str]:
    """Each atom and each odd one alone, and then mixtures without end."""
    yield from (*ATOMS, *ODD)
    draw = random.Random(seed)
    while True:
        parts = draw.choices((*ATOMS, *ODD), k=draw.randint(2, 6))
        yield draw.choice(("", " ", "\n", "\n\n")).join(parts)


def as_sent(text: str) -> str:
    """As a browser sends it: a replacement sign for half a character."""
    return text.encode(errors="replace").decode()
