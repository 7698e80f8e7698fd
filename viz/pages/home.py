"""Home: the way of a text through a transformer as one picture that answers to the pointer, with its pages behind."""

import streamlit as st

from viz.components.drawing import drawing
from viz.figures.corner import Cube
from viz.figures.heads import layers_and_heads
from viz.figures.home import MOST_ROWS, token_vectors_picture, vectors_told
from viz.figures.numbers import in_short
from viz.guard import handler
from viz.plain import plain
from viz.sections.home import following, lines, tour
from viz.ui import checkpoints, glossary, heads, links, session
from viz.ui.choices import ATTENTION, EMBEDDINGS, HEAD, MECHANISM, TOKENIZATION, TRANSLATION, UNDERSTANDING
from viz.ui.pictures import caption

STYLE = """<style>
.stMainBlockContainer h1 { text-wrap: balance; font-size: 1.8rem; padding: 0; }
.stMainBlockContainer > .stVerticalBlock { gap: 0.5rem; }
.st-key-opening { gap: 0 1rem; }
.st-key-roomy_way { margin-top: 0.4rem; }
.st-key-roomy_way .stVerticalBlock { gap: 0.5rem; }
.st-key-roomy_way .stPageLink a { padding: 0; gap: 0; }
.st-key-roomy_way .stPageLink p { font-weight: 600; font-size: 1.05rem; color: LINK; }
.st-key-roomy_way .stPageLink a > span:first-child:has([data-testid="stIconMaterial"]) { display: none; }
.st-key-roomy_way .stPageLink p::after { content: " →" / ""; }
.stApp .st-key-roomy_way > * > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"] {
  min-width: min(100%, 11.5rem);
}
.stApp .st-key-roomy_way > * > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"]:nth-child(2) {
  min-width: min(100%, 17rem);
}
@media (max-width: 640px) {
  .stMainBlockContainer h1 { font-size: 1.3rem; }
}
</style>"""


def main() -> None:
    mode = st.context.theme.type or "light"
    st.html(STYLE.replace("LINK", st.get_option(f"theme.{mode}.primaryColor")))
    st.title("See where every head looks, and check every number you see.")
    with st.container(horizontal=True, vertical_alignment="center", key="opening"):
        st.markdown("Type a text in the sidebar: a transformer reads it here and now.", width="content")
        st.button(
            "Another text",
            key="another",
            icon=":material/shuffle:",
            type="tertiary",
            help="One of the examples of the sidebar, which on a small screen » opens.",
            on_click=handler(another_example),
        )
        invitation = st.container(width="content", key="invitation")
    run, last = session.current_run(), following.step()
    with invitation:
        tour.show(run, last)
    with st.container(key="roomy_way"):
        read, looks, expects = st.columns([1, 1.45, 1.4], gap="medium")
    with read:
        with st.container(horizontal=True, gap="medium"):
            links.link(TOKENIZATION, "1 Tokens", "content_cut", width="content")
            links.link(EMBEDDINGS, "2 Vectors", "scatter_plot", width="content")
        show_tokens()
    with looks:
        links.link(ATTENTION, "3 Attention", "visibility", width="content")
        lines.show(run)
    with expects:
        if last.page is None:
            st.markdown(f"**4 {last.title}**")
        else:
            links.link(last.page, f"4 {last.title}", "edit_note", width="content")
        following.show()
    with st.container(horizontal=True, gap="medium", key="elsewhere"):
        links.link(TRANSLATION, "Translate it", "translate", width="content")
        links.link(UNDERSTANDING, "Hide a word", "select_check_box", width="content")
        if session.current_model().unfollowed(heads.shown_layer(run, "self")) is None:
            links.link(HEAD, "Inside a head", "zoom_in", width="content")
        links.link(MECHANISM, "Break the mechanism", "construction", width="content")
    glossary.show()
    info = run.info
    st.markdown(
        f"**{plain(info.title)}** · {layers_and_heads(info.grid)} · "
        f"vectors of {info.d_model:,} numbers · {in_short(info.n_parameter)} parameters · "
        f"vocabulary of {info.n_vocab:,} tokens · reads up to {info.n_context:,} tokens"
    )
    st.caption(
        "The model runs where Regard runs. Every weight, vector and probability of your text is computed from a run of "
        "it, here and now."
    )


def show_tokens() -> None:
    """What was typed, cut into tokens, and the vectors that they become."""
    lm, run = session.current_model(), session.current_run()
    tokens = run.source or run.tokens  # an encoder-decoder has read what was typed, and written more
    first_block = run.hidden is not None and not run.source
    vectors = run.hidden[0] if first_block else lm.embeddings()[0][[token.id for token in tokens]]
    labels = [token.label for token in tokens]
    drawing(
        token_vectors_picture(labels, vectors),
        key="home_vectors",
        called=vectors_told(labels, vectors),
        numbers=lambda: Cube(vectors[:MOST_ROWS], ("token", "dimension"), "value", [labels[:MOST_ROWS], []]),
    )
    n, what = len(tokens), "what the first block reads" if first_block else "its entry of the vocabulary"
    n_character = len(session.current_text())
    typed = "1 character becomes" if n_character == 1 else f"{n_character:,} characters become"
    cut = "one token, which becomes" if n == 1 else f"{n:,} tokens, and each becomes"
    caption(f"{typed} {cut} {vectors.shape[1]:,} numbers: {what}.")


def another_example() -> None:
    examples = checkpoints.examples(st.session_state.model)
    now = examples.index(st.session_state.text) if st.session_state.text in examples else -1
    st.session_state.text = examples[(now + 1) % len(examples)]


main()
