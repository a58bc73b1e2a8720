"""Log files are rotated by renaming: nothing is lost, in order, whatever else happens to the files."""

import gzip
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastlb.supervisor.home.log_files import rotated_files
from fastlb.supervisor.output import rotation
from fastlb.supervisor.output.event_log import EventLog
from fastlb.supervisor.output.log_file import LogFile
from fastlb.supervisor.output.rotation import RotatedFiles, RotationRules, compress, partial_of, rotate, rotated_name

from tests.support.waiting import scaled

LINE = b"%08d of a row of lines that are all as long as this one\n"
LENGTH = len(LINE % 0)
PER_FILE = 10


def rules(**changes: object) -> RotationRules:
    """Return rules by which a file has PER_FILE lines, and all files stay."""
    values = {"max_bytes": PER_FILE * LENGTH, "interval": "never", "retain": 1000, "retain_days": 0, "compress": False}
    return RotationRules(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "CLOSE_SECONDS", scaled(20))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    log = EventLog(tmp_path / "events")
    yield log
    log.close()


def write_lines(path: Path, log: EventLog, wanted: RotationRules, numbers: range) -> None:
    """Write numbered lines, one at a time, through a file of its own."""
    rotated = RotatedFiles(wanted, log)
    file = LogFile(path, log, rotated)
    for number in numbers:
        file.append(LINE % number)
    file.close()
    rotated.close()


def everything(path: Path) -> bytes:
    """Return what stands in the rotated files and the file itself, in order."""
    parts = [
        gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        for file in rotated_files(path)
    ]
    return b"".join([*parts, path.read_bytes()])


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "compressed"])
def test_every_line_is_found_once_and_in_order(tmp_path: Path, log: EventLog, packed: bool) -> None:
    path = tmp_path / "app-out.log"
    write_lines(path, log, rules(compress=packed), range(205))
    assert everything(path) == b"".join(LINE % number for number in range(205))
    files = rotated_files(path)
    assert len(files) == 20
    assert {file.suffix for file in files} == {".gz" if packed else ".log"}
    assert not list(tmp_path.glob("*.part"))


def test_names_do_not_collide_after_a_restart(tmp_path: Path, log: EventLog) -> None:
    path = tmp_path / "app-out.log"
    for start in range(0, 60, 15):
        write_lines(path, log, rules(), range(start, start + 15))
    assert everything(path) == b"".join(LINE % number for number in range(60))


def test_only_so_many_stay(tmp_path: Path, log: EventLog) -> None:
    path = tmp_path / "app-out.log"
    write_lines(path, log, rules(retain=2), range(65))
    assert everything(path) == b"".join(LINE % number for number in range(40, 65))


def test_names_are_in_order_although_the_clock_is_put_back() -> None:
    path = Path("/logs/app-out.log")
    names = [rotated_name(path, 1_700_000_000.0, "")]
    for moment in (1_700_000_000.0, 1_600_000_000.0, 1_700_000_000.5, 1_700_000_001.0, 1_700_000_001.0):
        names.append(rotated_name(path, moment, names[-1]))
    assert names == sorted(set(names))
    assert [name.removesuffix(".log").rpartition("_")[2] for name in names[1:4]] == ["000001", "000002", "000003"]


def test_old_ones_go(tmp_path: Path, log: EventLog) -> None:
    path = tmp_path / "app-out.log"
    write_lines(path, log, rules(), range(15))
    (old,) = rotated_files(path)
    os.utime(old, (time.time() - 3 * 86400, time.time() - 3 * 86400))
    write_lines(path, log, rules(retain_days=2), range(15, 25))
    assert old not in rotated_files(path)
    assert len(rotated_files(path)) == 1


def test_file_of_yesterday_is_rotated_before_the_first_line_of_today(tmp_path: Path, log: EventLog) -> None:
    path = tmp_path / "app-out.log"
    daily = rules(max_bytes=0, interval="daily")
    write_lines(path, log, daily, range(3))
    os.utime(path, (time.time() - 2 * 86400, time.time() - 2 * 86400))
    write_lines(path, log, daily, range(3, 6))
    (yesterday,) = rotated_files(path)
    assert yesterday.read_bytes() == b"".join(LINE % number for number in range(3))
    assert path.read_bytes() == b"".join(LINE % number for number in range(3, 6))


def test_two_writers_share_a_file_line_by_line(tmp_path: Path, log: EventLog) -> None:
    path = tmp_path / "shared.log"
    cares = [RotatedFiles(rules(compress=True), log) for _ in range(2)]
    files = [LogFile(path, log, care) for care in cares]
    for number in range(0, 200, 2):
        files[0].append(LINE % number)
        files[1].append(LINE % (number + 1))
    for file, care in zip(files, cares, strict=True):
        file.close()
        care.close()
    assert sorted(everything(path).splitlines(True)) == [LINE % number for number in range(200)]


def test_file_that_somebody_still_writes_is_not_compressed(tmp_path: Path, log: EventLog) -> None:
    path = tmp_path / "app-out.log"
    file = LogFile(path, log)
    file.append(b"line\n")
    moved = rotate(path, time.time(), None)
    with pytest.raises(BlockingIOError):
        compress(moved)
    assert rotated_files(path) == [moved]
    assert not list(tmp_path.glob("*.part"))
    file.close()


def test_compression_that_was_broken_off_is_done_again(tmp_path: Path, log: EventLog) -> None:
    path = tmp_path / "app-out.log"
    write_lines(path, log, rules(), range(15))
    (full,) = rotated_files(path)
    partial_of(full).write_bytes(b"half")
    write_lines(path, log, rules(compress=True), range(15, 25))
    assert everything(path) == b"".join(LINE % number for number in range(25))
    assert {file.suffix for file in rotated_files(path)} == {".gz"}
    assert not list(tmp_path.glob("*.part"))


def test_file_that_was_compressed_and_not_removed_counts_once(tmp_path: Path, log: EventLog) -> None:
    path = tmp_path / "app-out.log"
    write_lines(path, log, rules(compress=True), range(15))
    (packed,) = rotated_files(path)
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    assert rotated_files(path) == [packed]
    write_lines(path, log, rules(compress=True), range(15, 25))
    assert everything(path) == b"".join(LINE % number for number in range(25))
    assert not packed.with_suffix("").exists()


def test_directory_that_forbids_renaming_costs_no_line(tmp_path: Path, log: EventLog) -> None:
    path = tmp_path / "logs" / "app-out.log"
    rotated = RotatedFiles(rules(), log)
    file = LogFile(path, log, rotated)
    fill = [LINE % number for number in range(25)]
    for line in fill[:5]:
        file.append(line)
    real, moved = path.parent, tmp_path / "elsewhere"
    real.rename(moved)  # the name leads nowhere: the file can be neither renamed nor opened anew
    real.write_text("in the way")
    for line in fill[5:]:
        file.append(line)
    file.close()
    rotated.close()
    assert (moved / "app-out.log").read_bytes() == b"".join(fill)
    assert "log_not_re" in (tmp_path / "events").read_text()
