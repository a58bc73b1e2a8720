"""The index of log files says of each line by whom and when it was written, whatever happens to the files."""

import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fastlb.supervisor.home.log_index import (
    DETAILED_SLOTS,
    HEADER,
    INDEX_BYTES,
    RECORD_BYTES,
    Index,
    Run,
    file_number,
    read_index,
)
from fastlb.supervisor.output.index_writer import LogIndex
from fastlb.supervisor.output.line_format import Origin
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

NOW = 1_800_000_000.0
ORIGINS = [Origin("shop", worker, 100 + worker, stream) for worker in range(2) for stream in ("out", "err")]

OPENINGS = itertools.count()


def never(reason: str) -> None:
    raise AssertionError(reason)


class Bench:
    """Some log files that are written as the supervisor does, with a clock of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = NOW
        self.path = directory / "log-index"
        self.index = LogIndex(self.path, never, lambda: self.now)
        self._fds: dict[str, int] = {}
        self._openings: dict[str, int] = {}
        # By file number: who wrote each byte, and when; None: somebody else.
        self.written: dict[int, list[tuple[Origin, float] | None]] = {}

    def fd(self, name: str) -> int:
        if name not in self._fds:
            self._fds[name] = os.open(self.directory / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            self._openings[name] = next(OPENINGS)
        return self._fds[name]

    def bytes_of(self, name: str) -> list[tuple[Origin, float] | None]:
        return self.written.setdefault(file_number(os.fstat(self.fd(name))), [])

    def write(self, name: str, origin: Origin, size: int) -> None:
        os.write(self.fd(name), b"x" * size)
        self.index.note(self.fd(name), self._openings[name], origin, size)
        self.bytes_of(name).extend([(origin, self.now)] * size)

    def write_elsewhere(self, name: str) -> None:
        """Another process appends to the file."""
        self.fd(name)
        with (self.directory / name).open("ab") as file:
            file.write(b"yyy")
        self.bytes_of(name).extend([None] * 3)

    def rotate(self, name: str) -> None:
        self.fd(name)
        moved = self.directory / f"{name}-{len(os.listdir(self.directory))}"
        os.rename(self.directory / name, moved)
        os.close(self._fds.pop(name))

    def truncate(self, name: str) -> None:
        os.ftruncate(self.fd(name), 0)
        self.bytes_of(name).clear()

    def restart(self) -> None:
        for name in list(self._fds):
            os.close(self._fds.pop(name))
        self.index.close()
        self.index = LogIndex(self.path, never, lambda: self.now)

    def close(self) -> None:
        self.index.close()
        for fd in self._fds.values():
            os.close(fd)

    def check(self) -> None:
        index = Index(read_index(self.path))
        for number, contents in self.written.items():
            runs = index.runs(number)
            for offset, known in enumerate(contents):
                run = runs.at(offset) if runs else None
                if known:
                    assert run
                    assert (run.worker, run.pid, run.stream) == (known[0].worker, known[0].pid, known[0].stream)
                    assert -0.001 <= known[1] - run.time <= 0.011 or run.time > known[1]  # the clock was put back


NAMES = st.sampled_from(["a", "b"])
STEPS = st.one_of(
    st.tuples(st.just("write"), NAMES, st.sampled_from(ORIGINS), st.integers(1, 5)),
    st.tuples(st.just("write_elsewhere"), NAMES),
    st.tuples(st.just("rotate"), NAMES),
    st.tuples(st.just("truncate"), NAMES),
    st.tuples(st.just("restart")),
    st.tuples(st.just("sleep"), st.sampled_from([0.001, 0.02, 1.5, -3.0])),
)


@example(
    steps=[("write", "b", ORIGINS[0], 3), ("rotate", "b"), ("write_elsewhere", "a"), ("write", "a", ORIGINS[0], 1)]
)  # a descriptor that is used again, of a file that ends where the other one did
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(steps=st.lists(STEPS, max_size=40))
def test_every_byte_is_known_with_writer_and_time(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[object, ...]]
) -> None:
    bench = Bench(tmp_path_factory.mktemp("logs"))
    for name, *arguments in steps:
        if name == "sleep":
            bench.now += arguments[0]  # type: ignore[operator]
        else:
            act: Callable[..., None] = getattr(bench, str(name))
            act(*arguments)
    bench.check()
    bench.close()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def runs(bench: Bench, name: str) -> list[Run]:
    found = Index(read_index(bench.path)).runs(file_number((bench.directory / name).stat()))
    assert found
    size = (bench.directory / name).stat().st_size
    return list(dict.fromkeys(run for offset in range(size) if (run := found.at(offset))))


def test_what_others_append_is_nobodys(bench: Bench) -> None:
    bench.write("a", ORIGINS[0], 3)
    bench.write_elsewhere("a")
    bench.write("a", ORIGINS[0], 3)
    assert [(run.start, run.worker, run.stream) for run in runs(bench, "a")] == [
        (0, 0, "out"),
        (3, None, ""),
        (6, 0, "out"),
    ]
    bench.close()


class Writer:
    """A supervisor that writes to a file, and to an index, that another one writes to as well."""

    def __init__(self, directory: Path, origin: Origin) -> None:
        self.origin = origin
        self._fd = os.open(directory / "out", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._index = LogIndex(directory / "log-index", never)
        self.unnoted: list[int] = []

    def append(self, size: int) -> None:
        os.write(self._fd, b"x" * size)
        self.unnoted.append(size)

    def note(self) -> None:
        """Note what was appended last, before which there is nothing that was not noted."""
        if self.unnoted:
            self._index.note(self._fd, 1, self.origin, self.unnoted.pop(0))

    def close(self) -> None:
        self._index.close()
        os.close(self._fd)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 9), st.booleans()), min_size=1, max_size=60))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([(0, 5, True), (1, 5, True), (0, 5, True), (1, 5, True)])
@example([(0, 5, True), (1, 5, False), (0, 5, True), (1, 5, True)])
def test_lines_of_two_supervisors_keep_their_writers(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]]
) -> None:
    """As during an update; each notes right after it has appended, or when the other has appended as well."""
    directory = tmp_path_factory.mktemp("shared")
    writers = [Writer(directory, origin) for origin in ORIGINS[:2]]
    whose: list[Origin] = []
    for number, size, is_noted_at_once in steps:
        writer = writers[number]
        writer.note()
        writer.append(size)
        whose += [writer.origin] * size
        if is_noted_at_once:
            writer.note()
    for writer in writers:
        writer.note()
    number = file_number(os.stat(directory / "out"))
    runs = Index(read_index(directory / "log-index")).runs(number)
    assert runs
    found = [runs.at(offset) for offset in range(len(whose))]
    assert [run and run.stream for run in found] == [origin.stream for origin in whose]
    for writer in writers:
        writer.close()


def test_records_of_two_supervisors_take_no_slot_of_each_other(tmp_path: Path) -> None:
    writers = [Writer(tmp_path, origin) for origin in ORIGINS[:2]]
    for _ in range(200):
        for writer in writers:
            writer.append(1)
            writer.note()
    content = read_index(tmp_path / "log-index")
    times = [int.from_bytes(content[at : at + 8], sys.byteorder) for at in range(RECORD_BYTES, 401 * RECORD_BYTES, 32)]
    assert times == sorted(set(times)), "each is later than the one before it"
    assert times[0] > 0
    for writer in writers:
        writer.close()


def test_order_between_files_is_kept(bench: Bench) -> None:
    """Within the time that one record is good for: the times still say who came first."""
    for name, origin in (("a", ORIGINS[0]), ("b", ORIGINS[1]), ("a", ORIGINS[0]), ("b", ORIGINS[1])):
        bench.write(name, origin, 1)
    times = [run.time for pair in zip(runs(bench, "a"), runs(bench, "b"), strict=True) for run in pair]
    assert times == sorted(set(times))
    bench.close()


def test_lines_of_one_worker_share_a_record(bench: Bench) -> None:
    for _ in range(100):
        bench.write("a", ORIGINS[0], 10)
        bench.now += 0.001
    assert 10 <= len(runs(bench, "a")) <= 12
    bench.close()


def test_index_is_bounded_and_keeps_the_times_longer_than_the_writers(bench: Bench) -> None:
    for number in range(2 * len(DETAILED_SLOTS)):
        bench.now += 0.02
        os.write(bench.fd("a"), b"x")
        bench.index.note(bench.fd("a"), 0, ORIGINS[number % 2], 1)
    assert bench.path.stat().st_size <= INDEX_BYTES
    found = Index(read_index(bench.path)).runs(file_number(os.fstat(bench.fd("a"))))
    assert found
    early, late = found.at(50), found.at(2 * len(DETAILED_SLOTS) - 51)
    assert early
    assert late
    assert (early.worker, late.worker) == (None, 0)
    assert early.time == pytest.approx(NOW + 51 * 0.02, abs=1.1)
    bench.close()


def test_clock_that_was_far_ahead_begins_a_new_index(bench: Bench) -> None:
    bench.write("a", ORIGINS[0], 1)
    bench.now -= 86400
    bench.restart()
    bench.write("b", ORIGINS[0], 1)
    assert [run.time for run in runs(bench, "b")] == [NOW - 86400]
    assert Index(read_index(bench.path)).runs(file_number((bench.directory / "a").stat())) is None
    bench.close()


@pytest.mark.parametrize("content", [b"", b"x", HEADER, HEADER + b"\xff" * 100, b"\xff" * 3 * RECORD_BYTES])
def test_damaged_index_is_none_and_is_made_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log-index"
    path.write_bytes(content)
    Index(read_index(path)).runs(1)
    bench = Bench(tmp_path)
    bench.write("a", ORIGINS[3], 4)
    bench.check()
    bench.close()


def test_index_that_cannot_be_written_costs_nothing_but_itself(tmp_path: Path) -> None:
    failures: list[str] = []
    index = LogIndex(Path("/dev/full"), failures.append)
    with (tmp_path / "a").open("ab") as file:
        for _ in range(3):
            file.write(b"x")
            file.flush()
            index.note(file.fileno(), 0, ORIGINS[0], 1)
    index.close()
    assert len(failures) == 1
    LogIndex(tmp_path / "none" / "log-index", failures.append).close()
    assert failures[1:] == ["No such file or directory"]


def test_no_index_and_no_file_are_no_failure() -> None:
    index = LogIndex(None, never)
    index.note(1, 0, ORIGINS[0], 1)
    index.close()
    assert read_index(Path("/none")) == b""
