"""Lines of several apps that are followed come in order of time, each a moment later; last lines come together."""

import threading

from fastlb.cli.live_lines import LiveLines, Meeting
from fastlb.cli.log_view.live_order import HOLD_SECONDS, MOST_HELD, LiveOrder
from hypothesis import given
from hypothesis import strategies as st

from tests.support.waiting import scaled


def test_line_that_comes_late_is_in_its_place() -> None:
    order: LiveOrder[str] = LiveOrder()
    order.add("second", 12.0, 100.0)
    order.add("first", 11.0, 100.1)
    assert order.due(100.0 + HOLD_SECONDS - 0.01) == []
    assert order.next_due() == 100.0 + HOLD_SECONDS
    assert order.due(100.0 + HOLD_SECONDS) == ["first", "second"]
    assert order.next_due() is None


def test_line_waits_no_longer_than_it_must() -> None:
    order: LiveOrder[str] = LiveOrder()
    order.add("early", 11.0, 100.0)
    order.add("late", 12.0, 100.1)
    assert order.due(100.0 + HOLD_SECONDS) == ["early"]
    assert order.rest() == ["late"]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1))))
def test_every_line_comes_once_and_none_waits_for_long(steps: list[tuple[float, float]]) -> None:
    order: LiveOrder[int] = LiveOrder()
    now, shown, added = 0.0, [], {}
    for number, (at, pause) in enumerate(steps):
        now += pause
        order.add(number, at, now)
        added[number] = now
        shown += order.due(now)
        assert all(now - came < HOLD_SECONDS for line, came in added.items() if line not in shown)
    assert sorted(shown + order.rest()) == list(range(len(steps)))


def test_more_than_may_wait_are_shown_before_their_time() -> None:
    order: LiveOrder[int] = LiveOrder()
    for number in range(MOST_HELD + 5):
        order.add(number, float(number), 100.0)
    assert order.due(100.0) == [0, 1, 2, 3, 4]


def test_lines_of_threads_are_shown_and_the_rest_at_the_end() -> None:
    shown: list[str] = []
    lines = LiveLines(shown.extend)
    for at, word in ((3.0, "c"), (1.0, "a"), (2.0, "b")):
        lines.add(word, at)
    lines.close()
    assert sorted(shown) == ["a", "b", "c"]  # in order, if this machine was not busy


def test_reader_that_went_away_is_told_to_whoever_brings_lines() -> None:
    def show(lines: list[str]) -> None:
        raise BrokenPipeError

    lines = LiveLines(show)
    lines.add("a", 1.0)
    try:
        lines.close()
    except BrokenPipeError:
        return
    raise AssertionError


def test_meeting_joins_what_all_bring_and_waits_for_none_that_stays_away() -> None:
    done: list[list[int]] = []
    meeting = Meeting(3, done.append, scaled(20))
    threads = [threading.Thread(target=meeting.come, args=([number],)) for number in range(2)]
    for thread in threads:
        thread.start()
    meeting.stay_away()
    for thread in threads:
        thread.join(scaled(20))
    assert [sorted(parts) for parts in done] == [[0, 1]]


def test_meeting_goes_on_without_those_that_do_not_come_and_takes_them_later() -> None:
    done: list[list[int]] = []
    meeting = Meeting(2, done.append, 0.0)
    meeting.come([1])
    meeting.come([2])
    assert done == [[1], [2]]
