"""The address of what is seen: a link, a reload, Back and Forward set the choices; else the choices set the address.

Each choice of a page is a value in st.session_state under its name, whether its widget is drawn or not. Those of other
pages wait in `Memory.chosen`: for each field that Streamlit draws, it copies all that a session holds. The address
counts in a session's first run, and where the visitor went Back or Forward; in every other run the session counts, and
the address is replaced, so that one visit to a page is one entry of the browser's history.

Streamlit's own `bind="query-params"` cannot do that: it adds an entry for each widget, on the path of the page before.
"""

import re
import time
import weakref
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NoReturn
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from viz import guard
from viz.components.address import address
from viz.ui import held, session
from viz.ui.choices import ATTENTION, CHOICES, HOME, READER, Choice, owned_by
from viz.ui.choices import of as choices_of
from viz.ui.long_texts import LongTexts
from viz.ui.memory import Memory

# of a link, in characters and choices: Streamlit ignores all of a longer one, and says nothing
LONGEST_LINK, MOST_CHOICES = 512 * 1024, 1000
LONGEST_TEXT = 4000  # bytes of a text that stands in an address
KEPT_TEXTS = 16 * 10**6  # bytes of longer texts that a server keeps for their links


def arrive(page: str) -> None:
    """At the start of a run, before any widget is drawn; `page` by its path."""
    state, context = st.session_state, get_script_run_ctx()
    first = "memory" not in state
    if first:
        state.memory, state.page = Memory(), None
        _measure(context.query_string)
    came_from = state.page
    state.memory.hear()
    # of another page's widgets the browser tells nothing any more, and older values would show up beneath them
    there = _remember(choices_of(page) if page == state.page else EVERYWHERE)
    if first:
        _take(CHOICES)
    elif context.is_history_navigation:
        _take(choices_of(page))
    elif page != came_from:
        state.memory.chosen |= {name: choice.default for name, choice in CHOICES.items() if choice.here}
    here = choices_of(page)
    for name in there.keys() & CHOICES.keys() - here.keys():
        del state[name]
    # a widget of another page is another one, and begins anew
    anew = here if page != came_from or context.is_history_navigation else here.keys() - there.keys()
    _set({name: state.memory.chosen.get(name, here[name].default) for name in anew} | state.pop("next", {}))
    state.memory.drawn.clear()
    state.page = page


def key(name: str, default: Any = None, *, among: int | None = None) -> str:
    """For a widget's `key`: its name, and its value is there; `default` where the page makes it of its text and model.

    Such a widget has no `value` or `index` of its own. `among`: of how many things one is chosen; the widget of
    another number is another widget.

    The browser is told the value only where it cannot know it: what a visitor presses while a run is on its way would
    be taken back by a run that tells again what was pressed before.
    """
    state, memory = st.session_state, st.session_state.memory
    if name not in state:  # Streamlit forgets what a part of the page did not draw
        _set({name: memory.chosen.get(name, CHOICES[name].default)})
    elif (name in memory.unsaid and name not in memory.drawn) or memory.among.get(name) != among:
        _set({name: state[name]})
    memory.drawn.add(name)
    memory.among[name] = among
    if default is not None:
        before, memory.default[name] = memory.default.get(name), default
        # what nobody has chosen goes with the text: its last token is another one when it grows
        if state[name] is None or (among and state[name] == before != default):
            # remembered at once: this run may be broken off by a visitor who goes on, before all is remembered
            memory.chosen[name] = default
            _set({name: default})
    return name


def is_asked(name: str) -> bool:
    """Whether a link said something of it, and it was not told yet what of the link could not be had."""
    return name in st.session_state.memory.asked


def everything() -> dict[str, Any]:
    """All that the session holds, and the choices of the other pages."""
    return _and_others(held.everything())


def are_said(names: Iterable[str]) -> bool:
    """Whether the address of this page says something of one of these."""
    now = everything()
    return not query(now["page"], now).keys().isdisjoint(names)


def about(name: str, subject: Hashable) -> Any:
    """The value of a choice that was made about something, and is given up where that is another now.

    What a link brings is about what is there at first.
    """
    state = st.session_state
    if state.memory.about.setdefault(name, subject) != subject:
        say(name, CHOICES[name].default, subject)
    return state.get(name, state.memory.chosen.get(name))


def say(name: str, value: Any, subject: Hashable) -> None:
    """Make such a choice, of this page or another, about something that may only come with the next run."""
    memory = st.session_state.memory
    memory.about[name] = subject
    if name in choices_of(st.session_state.page):
        _set({name: value})
    else:
        memory.chosen[name] = value


def is_about_other(name: str, subject: Hashable) -> bool:
    """Whether it was made about something else, and `about` will give it up."""
    return st.session_state.memory.about.get(name, subject) != subject


def belong_to(model: str, owner: str) -> None:
    """Let the choices of this owner be a model's; to be said in each run, before their widgets are drawn.

    A page may be read by another model than the chosen one (see `session.READ_BY`). A model that was chosen in the
    sidebar for the first time begins with those of the model before it, so that two can be compared; one that only
    reads a page begins anew.
    """
    state, memory = st.session_state, st.session_state.memory
    before, chosen_before = memory.reader.get(owner), memory.reader.get(f"{owner}, chosen")
    memory.reader[owner] = model
    if model == state.model:
        memory.reader[f"{owner}, chosen"] = model
    if before in (None, model):
        return
    _put_away(owner, before)
    begins_with = memory.own.get(_own(owner, model))
    if begins_with is None:
        begins_with = memory.own.get(_own(owner, chosen_before), {}) if model == state.model else {}
    memory.chosen |= {name: begins_with.get(name, CHOICES[name].default) for name in owned_by(owner)}
    _set({name: memory.chosen[name] for name in owned_by(owner) if name in choices_of(state.page)})


def query(page: str, now: dict[str, Any] | None = None) -> dict[str, str]:
    """What the address of a page says besides its path, for the choices as they are `now`, where that is known."""
    now = now or everything()
    memory, found = now["memory"], {}
    chosen = _chosen(page, now)
    # both or neither: one alone means the first of the other, see `_take`
    heads = {name for pair in WHICH_HEAD for name in pair if any(_made_by_hand(chosen, name) for name in pair)}
    for name, choice in choices_of(page).items():
        if choice.here and page != now["page"]:
            continue
        value, made = chosen[name]
        if value is None or value == choice.default or (made and name not in heads):
            continue
        if choice.most is None or len(str(value).encode(errors="replace")) <= choice.most:
            found[name] = choice.write(value)
    if is_long(now["text"]):
        found["text_id"] = _LONG_TEXTS.keep(now["text"])
        del found["text"]
    if page == ATTENTION and now["pinned"] and now["token"] is not None:
        found["token"] = str(now["token"])
    elif page == ATTENTION and "token" in found and memory.reader:
        found["pinned"] = "false"  # an old link's token is kept in the graph
    return found


def write(place: str = "page", now: dict[str, Any] | None = None) -> None:
    """Put the choices into the address; at the end of a run, and of what else is drawn alone, each with a place."""
    now = now or _and_others(_remember())
    memory, page_now = now["memory"], now["page"]
    pages = {page: query(page, now) for page in PAGES if page != page_now}
    here = query(page_now, now)
    common = [name for name in ("model", "text", "text_id", "chat", "before", "target", "target_ids") if name in here]
    data = {
        "base": st.get_option("server.baseUrlPath").strip("/"),
        "page": page_now,
        "query": urlencode(here),
        "common": urlencode({name: here[name] for name in common}),
        "others": {page: urlencode({k: v for k, v in full.items() if k not in common}) for page, full in pages.items()},
        "got": memory.got,
        "time": time.time(),
    }
    memory.got = None
    memory.told |= memory.unsaid & memory.drawn
    memory.drawn.clear()
    address(data, key=f"address_{place}")


def go(page: str, **choices: Any) -> NoReturn:
    """Open another page; in place of st.switch_page, which would add two entries to the browser's history."""
    now = _and_others(_remember())
    there = query(now["page"], now)
    if choices.get("model", now["model"]) != now["model"]:  # what is its own waits for it, as `belong_to` will have it
        own = {name: choices.pop(name) for name in owned_by(READER) if name in choices}
        now["memory"].own |= {_own(READER, choices["model"]): own} if own else {}
    st.session_state.next = {**st.session_state.get("next", {}), **choices}
    # what the address says already: nothing is added for it
    st.switch_page(path(page), query_params=there)


def link(page: str, label: str, icon: str, **more) -> None:
    """A link to a page, with all that is chosen: a click on it, with Ctrl or without, shows the same."""
    each({page: (label, icon)}, **more)


def each(pages: Mapping[str, tuple[str, str]], now: dict[str, Any] | None = None, **more) -> None:
    """Links to pages, with the label and the icon of each; `now`: as in `query`."""
    now = now or everything()
    for page, (label, icon) in pages.items():
        st.page_link(path(page), label=label, icon=f":material/{icon}:", query_params=query(page, now), **more)


def path(page: str) -> str:
    """Where the file of a page lies."""
    return f"viz/pages/{page or 'home'}.py"


def is_long(text: str) -> bool:
    """Whether it is too long for an address."""
    return len(text.encode()) > LONGEST_TEXT


def _measure(query_string: str) -> None:
    n_choice = query_string.count("&") + 1
    if len(query_string) > LONGEST_LINK or n_choice > MOST_CHOICES:
        st.session_state.memory.too_long = len(query_string), n_choice
    else:
        st.session_state.memory.got = st.query_params.to_dict()


def _take(choices: Mapping[str, Choice]) -> None:
    """Let the address say what is chosen: on its page, or in a session's first run everywhere."""
    state, memory, wanted = st.session_state, st.session_state.memory, st.query_params.to_dict()
    for owner, model in list(memory.reader.items()):
        if model and owner in OWNERS:
            _put_away(owner, model)
            memory.reader[owner] = None
    memory.about.clear()
    memory.asked = {}
    for name, choice in choices.items():
        memory.chosen[name] = choice.default
        if name in wanted:
            memory.asked[name] = wanted[name]
            with suppress(ValueError):
                memory.chosen[name] = choice.parse(wanted[name])
    for pair in WHICH_HEAD:
        of_head = [name for name in pair if name in choices and memory.chosen[name] is not None]
        if len(of_head) == 1:  # a link from when the first head of the first layer was shown at first
            memory.chosen |= {name: 0 for name in pair if name not in wanted}
    if "text_id" in wanted and "text" not in wanted:
        text = _LONG_TEXTS.find(wanted["text_id"])
        memory.lost_text = text is None
        memory.chosen["text"] = CHOICES["text"].default if text is None else text
    if "pinned" in choices and memory.chosen["token"] is not None and "pinned" not in wanted:
        memory.chosen["pinned"] = True
    for widget in [name for name in state if isinstance(name, str) and name.endswith(NUMBERS)]:
        state[widget] = widget.removesuffix(NUMBERS) in state.numbers


def _remember(names: Iterable[str] | None = None) -> dict[str, Any]:
    """Keep what is chosen, of this page or of these names, also for when the session does not hold it; all that it
    holds.
    """
    now = held.everything()
    now["memory"].chosen |= {name: now[name] for name in names or choices_of(now["page"]) if name in now}
    return now


def _set(values: Mapping[str, Any]) -> None:
    """Give choices of this page other values, which the browser is to be told."""
    st.session_state.update(values)
    st.session_state.memory.is_unsaid(values.keys())


def _and_others(now: dict[str, Any]) -> dict[str, Any]:
    return now["memory"].chosen | now


def _put_away(owner: str, model: str) -> None:
    """Keep what is chosen for a model that is not read now; what the page made of its text is made again."""
    memory = st.session_state.memory
    names = owned_by(owner)
    own = memory.own[_own(owner, model)] = {
        name: memory.chosen[name]
        for name in names
        if memory.chosen.get(name) is not None and memory.chosen[name] != memory.default.get(name)
    }
    for pair in WHICH_HEAD:
        if own.keys() & set(pair):
            own |= {name: memory.chosen[name] for name in pair}
    for name in names:
        memory.default.pop(name, None)


def _own(owner: str, model: str | None) -> str:
    return f"{owner} {model}"


def _chosen(page: str, now: dict[str, Any]) -> dict[str, tuple[Any, bool]]:
    """The choices of a page, which may be read by another model; with each, whether the page makes it of its text."""
    memory, found = now["memory"], {}
    reader = memory.reader.get(READER) if page != now["page"] else None
    there = session.reader_of(page, chosen=now["model"]) if reader else None
    own = memory.own.get(_own(READER, there), {}) if there != reader else None
    for name, choice in choices_of(page).items():
        if choice.owner == READER and own is not None:
            found[name] = own.get(name), False
        else:
            value = now.get(name)
            found[name] = value, value == memory.default.get(name)
    return found


def _made_by_hand(chosen: dict[str, tuple[Any, bool]], name: str) -> bool:
    value, made = chosen.get(name, (None, True))
    return value is not None and not made


_LONG_TEXTS = LongTexts(KEPT_TEXTS)
# an address says both or neither
WHICH_HEAD = (("layer", "head"), ("decoder_layer", "decoder_head"), ("other_layer", "other_head"))
OWNERS = tuple({choice.owner for choice in CHOICES.values() if choice.owner})
EVERYWHERE = tuple(name for name, choice in CHOICES.items() if not choice.pages)
NUMBERS = "_twin"  # ends the keys of switches that show numbers
PAGES = tuple(dict.fromkeys([HOME, *(page for choice in CHOICES.values() for page in choice.pages), "model"]))


@contextmanager
def _drawn_alone(place: str) -> Iterator[None]:
    """A part that is drawn again alone has changed choices, and nothing else would write them. Of several, the first
    looks at all and writes them, with those of the parts within it, and each whose code changes them in its turn.
    """
    context = get_script_run_ctx()
    if not context.fragment_ids_this_run:
        yield
        return
    memory, run = st.session_state.memory, context.parallel_coordinator  # the context lives on in the next run
    if first := not memory.run or memory.run() is not run:
        memory.run, memory.around = weakref.ref(run), True
        memory.drawn.clear()
        memory.hear()
    now = _remember() if first else None
    before = memory.chosen.copy()
    yield
    made = held.values(held.set_by_code(CHOICES))
    memory.chosen |= made
    memory.around &= not first
    if first or (memory.chosen != before and not memory.around):
        write(re.sub(r"\W", "_", place), now and _and_others(now | made))


@contextmanager
def _called_back() -> Iterator[None]:
    """Streamlit does not tell the browser what a callback sets that ends in st.rerun, nor what is not drawn next."""
    state = st.session_state
    before = held.values(choices_of(state.page)) if "page" in state else {}
    try:
        yield
    finally:
        if "memory" in state:
            now = held.values(held.set_by_code(CHOICES))
            state.memory.is_unsaid({name for name, value in now.items() if name not in before or value != before[name]})


guard.around_sections(_drawn_alone)
guard.around_handlers(_called_back)
