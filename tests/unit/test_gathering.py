"""When changes are over, and when they are the app's own; times are passed in."""

import pytest
from fastlb.supervisor.watch.gathering import FIRST_PAUSE, LONGEST_PAUSE, Gathering, LoopGuard

DELAY = 0.25


def test_changes_are_over_when_none_comes_for_the_delay() -> None:
    gathering = Gathering()
    for at in (10.0, 10.1, 10.3):
        gathering.note({f"{at}.py"}, at)
    assert gathering.due_at(DELAY) == 10.3 + DELAY
    assert gathering.take() == {"10.0.py", "10.1.py", "10.3.py"}
    gathering.note({"a.py"}, 20.0)
    assert gathering.due_at(DELAY) == 20.0 + DELAY


def test_writer_that_never_rests_is_not_waited_for() -> None:
    gathering = Gathering()
    for step in range(1000):
        gathering.note({"a.py"}, 10.0 + step / 100)
    assert gathering.due_at(DELAY) == 15.0
    assert gathering.due_at(0.0) == 12.0


def test_what_is_remembered_is_bounded() -> None:
    gathering = Gathering()
    gathering.note({f"{number}.py" for number in range(5000)}, 1.0)
    assert len(gathering.take()) == 1000


def pauses(guard: LoopGuard, *changes: tuple[str, float], before_served: bool = True) -> list[float]:
    """Return how long each change waits; it comes so many seconds after the app was started because of the last."""
    now, found = 100.0, []
    for path, after in changes:
        now += after
        gathering = Gathering()
        gathering.note({path}, now, before_served=before_served)
        pause = guard.pause(gathering)
        now += pause
        guard.note_asked({path}, now)
        found.append(pause)
    return found


def test_app_that_writes_its_own_file_is_started_less_and_less_often() -> None:
    found = pauses(LoopGuard(), *[("built.py", 0.5)] * 20)
    assert found[:5] == [0.0] * 5
    assert found[5:7] == [FIRST_PAUSE, 2 * FIRST_PAUSE]
    assert found[-1] == LONGEST_PAUSE


def test_person_who_saves_as_soon_as_the_new_code_answers_does_not_wait() -> None:
    assert pauses(LoopGuard(), *[("app.py", 0.7)] * 25, before_served=False) == [0.0] * 25


def test_app_that_writes_when_it_serves_is_found_out_as_well() -> None:
    assert pauses(LoopGuard(), *[("built.py", 0.7)] * 80, before_served=False)[-1] == LONGEST_PAUSE


@pytest.mark.parametrize("change", [("other.py", 0.5), ("built.py", 11.0)])
def test_person_ends_that(change: tuple[str, float]) -> None:
    found = pauses(LoopGuard(), *[("built.py", 0.5)] * 8, change, ("built.py", 0.5))
    assert found[7] > 0.0
    assert found[-2:] == [0.0, 0.0]
