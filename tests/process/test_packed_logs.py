"""Lines of log files that were rotated and packed keep their worker and stream, and every other program reads them."""

import gzip
import subprocess
from pathlib import Path

import pytest
from fastlb.cli.log_view.known_runs import KnownRuns
from fastlb.cli.log_view.sources import LogSource
from fastlb.cli.log_view.sources import Origin as LogOrigin
from fastlb.supervisor.home.log_files import LogTemplate, rotated_files
from fastlb.supervisor.home.packed_log import HEAD, packed_note
from fastlb.supervisor.output import rotation
from fastlb.supervisor.output.event_log import EventLog
from fastlb.supervisor.output.index_writer import LogIndex
from fastlb.supervisor.output.line_format import Origin
from fastlb.supervisor.output.log_files import LogFiles
from fastlb.supervisor.output.rotation import RotationRules
from fastlb.supervisor.settings.rotation_times import NEVER

from tests.support.waiting import scaled, wait_until

ORIGINS = [Origin("shop", worker, 100 + worker, stream) for worker in range(3) for stream in ("out", "err")]


@pytest.fixture(autouse=True)
def _finished_compression(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "CLOSE_SECONDS", scaled(20))


def line(number: int) -> bytes:
    origin = ORIGINS[number % len(ORIGINS)]
    return f"{number} {origin.worker} {origin.stream}\n".encode()


def write(directory: Path, count: int) -> Path:
    """Write so many lines into one file for both streams, which is rotated each 20 of them, and packed."""
    path = directory / "shop.log"
    log = EventLog(directory / "supervisor.log")
    rules = RotationRules(max_bytes=220, interval=NEVER, retain=1000, retain_days=0, compress=True)
    index = LogIndex(directory / "index", lambda reason: pytest.fail(reason))
    files = LogFiles({"all": LogTemplate(str(path), "shop")}, rules, log, index)
    for number in range(count):
        files.append(ORIGINS[number % len(ORIGINS)], line(number))
        if number % 100 == 99:  # what is packed gives its inode back, for a file to come
            wait_until(lambda: all(file.suffix == ".gz" for file in rotated_files(path)), "all is packed")
    files.close()
    log.close()
    return path


def test_lines_keep_their_worker_and_stream(tmp_path: Path) -> None:
    path = write(tmp_path, 600)
    assert {file.suffix for file in rotated_files(path)} == {".gz"}
    assert len({packed_note(file.read_bytes()[: HEAD.size]) for file in rotated_files(path)}) > 20
    source = LogSource(path, LogOrigin("shop", "log", "plain"), known=KnownRuns(tmp_path / "index"))
    found = [placed.record for placed in source.backward()][::-1]
    source.close()
    assert [record.text + b"\n" for record in found] == [line(number) for number in range(600)]
    assert [f"{record.worker} {record.stream}" for record in found] == [
        record.text.decode().partition(" ")[2] for record in found
    ]
    times = [record.time or 0.0 for record in found]
    assert times == sorted(times)
    assert times[0] > 0


def test_packed_file_is_gzip(tmp_path: Path) -> None:
    path = write(tmp_path, 100)
    for file in rotated_files(path):
        unpacked = subprocess.run(["gzip", "-dc", str(file)], check=True, capture_output=True).stdout
        assert unpacked == gzip.decompress(file.read_bytes())
        assert unpacked.endswith(b"\n")


def test_file_that_another_program_has_packed_has_no_note() -> None:
    assert packed_note(gzip.compress(b"line\n")) is None
    assert packed_note(b"") is None
