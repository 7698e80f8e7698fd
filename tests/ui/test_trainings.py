"""Work beside the pages: one at a time, in the order in which it was asked for, stopped between two steps."""

from collections.abc import Iterator
from threading import Event, Thread, get_ident

import pytest
import torch
from streamlit.testing.v1 import AppTest

from model.progress import tell
from model.run import VisitorError
from tests.pages.reading import said
from viz.ui.trainings import ENDED, FAILED, PATIENCE, RUNNING, STOPPED, WAITING, Line, Training, Visits

LONGEST = 60  # seconds, on a busy machine


class Work:
    """Gives numbers, each when it is let: `gates[i]` before step i; `reached[i]` is set where it waits for that."""

    def __init__(self, n: int, *, raises: Exception | None = None):
        self.gates, self.reached = [Event() for _ in range(n)], [Event() for _ in range(n)]
        self.raises, self.closed = raises, Event()

    def __call__(self) -> Iterator[int]:
        try:
            for i, (gate, reached) in enumerate(zip(self.gates, self.reached, strict=True)):
                reached.set()
                assert gate.wait(LONGEST)
                yield i
            if self.raises:
                raise self.raises
        finally:
            self.closed.set()

    def open(self, *steps: int) -> None:
        for i in steps or range(len(self.gates)):
            self.gates[i].set()


def begun(line: Line, work, seconds: float = LONGEST, **more) -> Training:
    training = Training("a copier", work, seconds, **more)
    line.join(training)
    return training


def test_its_steps_are_there_as_they_come_and_it_ends():
    work = Work(3)
    training = begun(Line(), work)
    assert work.reached[0].wait(LONGEST)
    assert training.state == RUNNING and training.steps == []
    work.open(0)
    assert work.reached[1].wait(LONGEST)
    assert training.steps == [0] and training.under_way
    work.open()
    assert training.wait(LONGEST)
    assert (training.state, training.steps, training.error) == (ENDED, [0, 1, 2], "") and not training.under_way


def test_one_runs_at_a_time_and_the_others_have_their_place():
    line, works = Line(), [Work(1) for _ in range(3)]
    first, second, third = (begun(line, work) for work in works)
    assert works[0].reached[0].wait(LONGEST)
    assert line.running is first and [each.place for each in (first, second, third)] == [0, 1, 2]
    assert second.state == third.state == WAITING and not works[1].reached[0].is_set()
    second.stop()
    assert second.state == STOPPED and second.wait(0) and third.place == 1
    works[0].open()
    assert works[2].reached[0].wait(LONGEST)
    assert third.state == RUNNING and third.place == 0
    works[2].open()
    assert third.wait(LONGEST)
    assert not works[1].reached[0].is_set() and second.steps == []


def test_stopped_between_two_steps_it_keeps_what_is_there():
    work = Work(5)
    training = begun(Line(), work)
    work.open(0, 1)
    assert work.reached[2].wait(LONGEST)
    training.stop()
    work.open(2)
    assert training.wait(LONGEST)
    assert (training.state, training.steps, training.error) == (STOPPED, [0, 1, 2], "")
    assert work.closed.is_set() and not work.reached[3].is_set()
    training.stop("too late")
    assert training.error == ""


def test_it_goes_on_behind_the_last_step():
    training = begun(Line(), lambda: iter([7, 8]), since=[5, 6])
    assert training.wait(LONGEST)
    assert training.steps == [5, 6, 7, 8]


def test_a_step_of_none_is_not_kept():
    training = begun(Line(), lambda: iter([None, 1, None, 2]))
    assert training.wait(LONGEST)
    assert training.steps == [1, 2]


def test_it_waits_a_moment_for_pages_that_are_drawn():
    visits, done = Visits(), Event()
    assert visits.wait(0)

    def wait() -> None:
        assert visits.wait(LONGEST)
        done.set()

    with visits.one("a page"):
        with visits.one("a part of it"):
            assert not visits.wait(0.001)
        waiting = Thread(target=wait)
        waiting.start()
        assert not visits.wait(0) and not done.is_set()
    assert done.wait(LONGEST)
    waiting.join(LONGEST)
    with pytest.raises(KeyError), visits.one("a page that fails"):
        raise KeyError
    assert visits.wait(0)


def test_work_that_tells_between_its_steps_gives_way_there():
    waited = []

    class NoVisits(Visits):
        def wait(self, seconds: float) -> bool:
            waited.append(seconds)
            return True

    def work() -> Iterator[int]:
        for step in range(1, 5):
            tell(step, 4)
        yield 4

    training = begun(Line(), work, visits=NoVisits())
    assert training.wait(LONGEST) and training.steps == [4]
    assert waited == [PATIENCE] * (4 + 2)  # and before each step of the iterator, the end among them


def test_the_bound_on_its_time_is_said():
    """After its first step at the earliest, however late the thread begins."""

    def endless() -> Iterator[int]:
        while True:
            yield 0

    training = begun(Line(), endless, seconds=0.0)
    assert training.wait(LONGEST)
    assert (training.state, training.steps) == (STOPPED, [0])
    assert training.error.startswith("Stopped after 0 seconds, the most that it may take")


def test_a_visitors_error_is_its_sentence():
    work = Work(1, raises=VisitorError("The loss is no number at step 3: a smaller learning rate helps."))
    work.open()
    training = begun(Line(), work)
    assert training.wait(LONGEST)
    assert (training.state, training.steps) == (FAILED, [0])
    assert training.error == "The loss is no number at step 3: a smaller learning rate helps."


def test_another_error_is_one_sentence_and_stands_in_the_log_and_the_next_one_runs(caplog):
    line, work = Line(), Work(1, raises=KeyError("secret"))
    work.open()
    training, after = begun(line, work), begun(line, lambda: iter([1]))
    assert training.wait(LONGEST) and after.wait(LONGEST)
    assert training.state == FAILED and training.steps == [0] and "KeyError" in training.error
    assert "secret" not in training.error and "secret" in caplog.text
    assert after.state == ENDED


def test_a_line_that_is_too_long_is_refused():
    line, work = Line(most_waiting=1), Work(1)
    begun(line, work)
    assert work.reached[0].wait(LONGEST)
    waiting = begun(line, lambda: iter(()))
    with pytest.raises(VisitorError, match="1 others wait"):
        begun(line, lambda: iter(()))
    work.open()
    assert waiting.wait(LONGEST)


def test_it_has_one_thread_of_torch_and_the_others_keep_theirs():
    before, seen = torch.get_num_threads(), []
    training = begun(Line(), lambda: iter([(get_ident(), torch.get_num_threads())]))
    assert training.wait(LONGEST)
    seen = training.steps[0]
    assert seen[0] != get_ident() and seen[1] == 1 and torch.get_num_threads() == before


def page() -> None:
    import streamlit as st

    from tests.ui.test_trainings import Work
    from viz.guard import handler, tell_untold
    from viz.ui import trainings

    tell_untold()
    works = st.session_state.setdefault("works", [])

    def begin() -> None:
        works.append(Work(3))
        trainings.start("a copier", works[-1], seconds=60, expected=3)

    st.button("Begin", key="begin", on_click=handler(begin))
    st.button("Leave", key="leave", on_click=handler(trainings.leaving.clear))
    st.button("Forget", key="forget", on_click=handler(lambda: trainings.forget("a copier")))

    def draw(training) -> None:
        st.session_state.drawn = training
        st.text("nothing yet" if training is None else f"{training.state}: {training.steps}")

    trainings.watch("a copier", draw)
    st.text("below")


@pytest.fixture
def opened():
    app = AppTest.from_function(page, default_timeout=LONGEST).run()
    yield app
    for work in app.session_state.works:  # the server's line is all tests'
        work.open()
    for work in app.session_state.works:
        assert not work.reached[0].is_set() or work.closed.wait(LONGEST)


def shown(app: AppTest) -> list[str]:
    assert not app.exception and not app.error
    return [element.value for element in app.text]


def test_a_page_shows_it_as_it_grows_and_when_it_is_over(opened):
    assert shown(opened) == ["nothing yet", "below"]
    opened.button(key="begin").click().run()
    (work,) = opened.session_state.works
    work.open(0)
    assert work.reached[1].wait(LONGEST)
    opened.run()
    assert shown(opened) == ["running: [0]", "below"]
    assert opened.get("progress")[0].proto.text.startswith("1 of 3")
    work.open()
    assert opened.session_state.drawn.wait(LONGEST)
    opened.run()
    assert shown(opened) == ["ended: [0, 1, 2]", "below"]
    assert not opened.get("progress") and "a_copier_stop" not in [button.key for button in opened.button]


def hasty_page() -> None:
    import streamlit as st

    from viz.ui import trainings

    class Hasty:
        """Over as soon as a page has looked at it."""

        looks = iter((True, False))
        kind, state, error, steps = "hasty", "ended", "", ()

        @property
        def under_way(self) -> bool:
            return next(self.looks)

    st.session_state.runs = st.session_state.get("runs", 0) + 1
    st.session_state.trainings = {"hasty": Hasty()}
    trainings.watch("hasty", lambda training: st.text("drawn"))
    st.text("below")


def test_what_ends_while_a_page_is_drawn_does_not_break_that_off():
    app = AppTest.from_function(hasty_page, default_timeout=LONGEST).run()
    assert shown(app) == ["drawn", "below"] and app.session_state.runs == 1


def late_page() -> None:
    import streamlit as st

    from tests.ui.test_trainings import LONGEST, Work
    from viz.ui import trainings

    kind, state = "late", st.session_state
    if "work" not in state:
        state.work = Work(2)
        state.work.open(0)
        trainings.start(kind, state.work, seconds=60)
        assert state.work.reached[1].wait(LONGEST)
    steps = list(trainings.of_session(kind).steps)
    state.work.open(1)
    assert trainings.of_session(kind).wait(LONGEST)  # over, behind the back of a page that has read half of its steps
    trainings.watch(kind, lambda training: st.text(f"{steps}"))
    st.text("under way" if trainings.is_under_way(kind) else "over")


def test_what_ends_while_a_page_is_drawn_is_over_for_the_next_run():
    app = AppTest.from_function(late_page, default_timeout=LONGEST).run()
    assert shown(app) == ["[0]", "under way"]  # and so it is looked at again
    assert shown(app.run()) == ["[0, 1]", "over"]


def test_a_page_stops_it(opened):
    opened.button(key="begin").click().run()
    (work,) = opened.session_state.works
    work.open(0)
    assert work.reached[1].wait(LONGEST)
    opened.button(key="a_copier_stop").click().run()
    work.open(1)
    assert opened.session_state.drawn.wait(LONGEST)
    opened.run()
    assert shown(opened) == ["stopped: [0, 1]", "below"] and not opened.warning


def test_another_of_the_same_kind_ends_the_one_before(opened):
    opened.button(key="begin").click().run()
    assert opened.session_state.works[0].reached[0].wait(LONGEST)
    opened.button(key="begin").click().run()
    first, second = opened.session_state.works
    assert shown(opened) == ["waiting: []", "below"]
    assert "This waits for its turn: one is before it. Now runs: a copier" in said(opened)
    first.open(0)
    assert first.closed.wait(LONGEST) and not first.reached[1].is_set()
    assert second.reached[0].wait(LONGEST)
    opened.run()
    assert shown(opened) == ["running: []", "below"]


def test_one_who_waits_may_withdraw(opened):
    opened.button(key="begin").click().run()
    assert opened.session_state.works[0].reached[0].wait(LONGEST)  # that it is not over before the second has asked
    opened.button(key="begin").click().run()
    assert opened.button(key="a_copier_stop").label == "Withdraw"
    opened.button(key="a_copier_stop").click().run()
    assert shown(opened) == ["stopped: []", "below"]
    assert not opened.session_state.works[1].reached[0].is_set()


def test_who_leaves_stops_theirs(opened):
    opened.button(key="begin").click().run()
    (work,) = opened.session_state.works
    assert work.reached[0].wait(LONGEST)
    opened.button(key="leave").click().run()
    work.open(0)
    assert opened.session_state.drawn.wait(LONGEST)
    assert work.closed.wait(LONGEST) and not work.reached[1].is_set()
    opened.run()  # the connection came back
    assert shown(opened) == ["stopped: [0]", "below"]
    assert "Stopped, because the browser was gone" in said(opened)


def test_what_is_forgotten_is_stopped(opened):
    opened.button(key="begin").click().run()
    (work,) = opened.session_state.works
    assert work.reached[0].wait(LONGEST)
    opened.button(key="forget").click().run()
    assert shown(opened) == ["nothing yet", "below"]
    work.open(0)
    assert work.closed.wait(LONGEST) and not work.reached[1].is_set()
