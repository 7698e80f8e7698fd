"""One choice of a token, with sliders that draw it otherwise: in the browser, over the whole vocabulary."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import streamlit as st

from model.analysis.sampling import Sampling, repeats
from viz.components import columns, register
from viz.guard import handler
from viz.offline.film import CUT

_SETTINGS = (  # name, label, least, most, step; in the order in which they are done
    ("repetition_penalty", "Repetition penalty", 0.5, 2, 0.05),
    ("no_repeat_ngram", "No sequence twice, of", 0, 10, 1),
    ("temperature", "Temperature", 0, 2, 0.05),
    ("top_k", "Top-k", 0, 100, 1),
    ("top_p", "Top-p", 0.05, 1, 0.05),
    ("min_p", "Min-p", 0, 1, 0.01),
    ("typical_p", "Typical-p", 0.05, 1, 0.05),
)
LONGEST_SEQUENCE = int(_SETTINGS[1][3])

_playground = register(
    "playground",
    shared=["percent", "warping", "candidates"],
    html="""<div class="playground"><p class="where"></p><ol class="settings"></ol>
<div class="drawn"><p class="told" role="status"></p>
<div class="head" aria-hidden="true"><span>token</span><span></span><span>the model</span><span>the draw</span></div>
<div class="candidates" role="list" tabindex="0" aria-label="What may be drawn"></div>
<div class="buttons"><button class="use">Use these settings</button>
<button class="reset">Reset to the run’s own</button></div>
<details><summary>Show the numbers</summary><div class="scroll" tabindex="0" role="group" aria-label="The numbers">
<table></table></div></details></div></div>""",
    picture=True,
)


@dataclass(frozen=True)
class Tried:
    """One choice, with all that the sliders act on; a token is named by its rank, 0 has the largest logit."""

    where: str  # which choice it is, as a sentence
    ids: np.ndarray  # (V,) of the vocabulary, by rank
    logits: np.ndarray  # (V,) float32, the model's own, the largest first
    labels: Sequence[str]  # of the first ones, which have a bar each
    there: dict[int, str]  # ranks and labels of the tokens in the text so far
    repeats: Sequence[np.ndarray]  # [n - 1]: of those that would complete a sequence of n tokens which is there
    own: Sampling  # how it was drawn, or is to be
    number: float | None  # in [0, 1), which drew it; None: it was chosen by hand
    drawn: int | None  # the rank of what was; None: it is still to come
    step: int | None  # of the film; None: what comes next
    written: str  # the film's text

    @classmethod
    def of(cls, logits: np.ndarray, before: Sequence[int], n_bar: int, label: Callable[[int], str], **more) -> "Tried":
        """From logits (V,) and the ids of the text so far."""
        ids = np.argsort(-logits, kind="stable")
        rank = np.empty_like(ids)
        rank[ids] = np.arange(len(ids))
        so_far = np.asarray(before, int)
        drawn = more.pop("drawn")
        return cls(
            ids=ids,
            logits=logits[ids],
            labels=[label(int(id)) for id in ids[:n_bar]],
            there={int(rank[id]): label(id) for id in np.unique(so_far).tolist()},
            repeats=[rank[repeats(so_far, n)] for n in range(1, LONGEST_SEQUENCE + 1)],
            drawn=None if drawn is None else int(rank[drawn]),
            **more,
        )


def playground(
    tried: Tried, *, key: str, on_use: Callable[[dict[str, float]], None], on_step: Callable[[int], None]
) -> None:
    """Nothing is sent while a slider moves. `on_use(settings)`: they are to be the real ones, by their names in
    `Sampling`. `on_step(step)`: the film has come to rest at another choice.
    """

    def used() -> None:
        match st.session_state[key].use:
            case dict(settings) if settings.keys() == asdict(tried.own).keys():
                on_use(settings)

    def stepped() -> None:
        match st.session_state[key].step:
            case int(step) if step >= 0:
                on_step(step)

    _playground(
        key=key,
        called=f"{tried.where}: what may be drawn",
        numbers=lambda: {"token": tried.labels, "id": tried.ids, "logit": np.float32(tried.logits)},
        on_use_change=handler(used),
        on_step_change=handler(stepped),
        data={
            "view": {
                "where": tried.where,
                "settings": [list(each) for each in _SETTINGS],
                "labels": list(tried.labels),
                "ids": tried.ids[: len(tried.labels)].tolist(),
                "there": list(tried.there),
                "names": list(tried.there.values()),
                "repeats": [each.tolist() for each in tried.repeats],
                "own": asdict(tried.own),
                "number": tried.number,
                "drawn": tried.drawn,
                "step": tried.step,
                "written": tried.written,
                "cut": CUT,
            },
            "numbers": columns(logit=np.float32(tried.logits)),
        },
    )
