"""The last lines of several logs, in the order of time: as many as are wanted, none twice, each log in order."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastlb.cli.log_view.merging import find_tail, in_order
from fastlb.cli.log_view.reading import PIECE_BYTES
from fastlb.cli.log_view.selection import Selection
from fastlb.cli.log_view.sources import LogSource, Origin
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

START = datetime(2026, 3, 1, tzinfo=UTC).timestamp()


def line(second: int, text: str) -> str:
    moment = datetime.fromtimestamp(START + second, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z: {text}\n"


def shown(sources: list[LogSource], selection: Selection, count: int | None) -> list[str]:
    try:
        return [record.message for record in in_order(find_tail(sources, selection, count))]
    finally:
        for source in sources:
            source.close()


def timed(path: Path, text: str) -> LogSource:
    path.write_text(text)
    return LogSource(path, Origin("shop", "out", "timed"))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    seconds=st.lists(st.lists(st.integers(0, 20), max_size=8), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 8), min_size=4, max_size=4),
    count=st.one_of(st.none(), st.integers(0, 40)),
    since=st.one_of(st.none(), st.integers(-1, 21)),
)
def test_merged_lines_are_complete_and_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    seconds: list[list[int]],
    cuts: list[int],
    count: int | None,
    since: int | None,
) -> None:
    """Logs of some workers, each rotated somewhere; the lines tell when they were written."""
    directory = tmp_path_factory.mktemp("logs")
    everything = []
    sources = []
    for worker, times in enumerate(map(sorted, seconds)):
        lines = [line(second, f"{second} {worker} {number}") for number, second in enumerate(times)]
        everything += [(second, worker, number) for number, second in enumerate(times)]
        path = directory / f"app-{worker}.log"
        path.with_name(f"app-{worker}__2026-03-01_00-00-00.log").write_text("".join(lines[: cuts[worker]]))
        sources.append(timed(path, "".join(lines[cuts[worker] :])))
    selection = Selection(since=None if since is None else START + since)
    found = [tuple(map(int, text.split())) for text in shown(sources, selection, count)]
    wanted = sorted(entry for entry in everything if since is None or entry[0] >= since)
    assert len(found) == (len(wanted) if count is None else min(count, len(wanted)))
    assert [second for second, _, _ in found] == [second for second, _, _ in wanted[len(wanted) - len(found) :]]
    assert len(set(found)) == len(found)
    for worker in range(len(seconds)):
        numbers = [number for _, of, number in found if of == worker]
        assert numbers == list(range(len(seconds[worker])))[len(seconds[worker]) - len(numbers) :]


def test_line_without_a_time_stays_behind_the_one_before(tmp_path: Path) -> None:
    first = timed(tmp_path / "a", line(1, "failed") + "Traceback\n  of it\n" + line(5, "goes on"))
    second = timed(tmp_path / "b", line(3, "meanwhile"))
    assert shown([first, second], Selection(), None) == ["failed", "Traceback", "  of it", "meanwhile", "goes on"]


@pytest.mark.parametrize("count", range(6))
def test_so_many_and_no_more_although_some_have_no_time(tmp_path: Path, count: int) -> None:
    first = timed(tmp_path / "a", line(1, "failed") + "Traceback\n" + line(5, "goes on"))
    second = timed(tmp_path / "b", line(1, "meanwhile") + line(9, "later"))
    assert len(shown([first, second], Selection(until=START + 6), count)) == min(count, 4)


def test_only_what_is_wanted_is_counted(tmp_path: Path) -> None:
    source = timed(
        tmp_path / "a", "".join(line(second, f"{'even' if second % 2 else 'odd'} {second}") for second in range(50))
    )
    assert shown([source], Selection(pattern=re.compile("odd")), 3) == ["odd 44", "odd 46", "odd 48"]


def test_clock_that_was_put_back_breaks_no_order_within_a_log(tmp_path: Path) -> None:
    first = timed(tmp_path / "a", line(10, "one") + line(4, "two") + line(12, "three"))
    second = timed(tmp_path / "b", line(11, "other"))
    assert shown([first, second], Selection(), None) == ["one", "two", "other", "three"]


def test_pieces_of_a_long_line_stay_together(tmp_path: Path) -> None:
    long = "x" * (3 * PIECE_BYTES)
    first = timed(tmp_path / "a", line(1, long) + line(3, "after"))
    second = timed(tmp_path / "b", line(1, "beside") + line(2, "between"))
    text = "|".join(shown([first, second], Selection(), None))
    assert text.replace("|xx", "xx") in (f"{long}|beside|between|after", f"beside|{long}|between|after")
