"""A disk that refuses: lines are counted, nothing fails, and the file says what is missing."""

import errno
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from fastlb.supervisor.errors import FastlbError
from fastlb.supervisor.home.log_files import LogTemplate, Output
from fastlb.supervisor.output.event_log import EventLog
from fastlb.supervisor.output.index_writer import LogIndex
from fastlb.supervisor.output.line_format import Origin
from fastlb.supervisor.output.log_file import LogFile
from fastlb.supervisor.output.log_files import LogFiles
from fastlb.supervisor.output.loss_mark import make_mark
from fastlb.supervisor.output.rotation import NEVER
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.waiting import wait_until


@pytest.fixture
def events() -> list[str]:
    """The events of the test's log, as they come."""
    return []


@pytest.fixture
def log_file(tmp_path: Path, events: list[str]) -> Iterator[LogFile]:
    log = EventLog(tmp_path / "events", lambda line: events.append(line.decode()))
    file = LogFile(tmp_path / "out", log)
    yield file
    file.close()
    log.close()


@contextmanager
def disk_with_room_for(size_bytes: int) -> Iterator[None]:
    """No file may grow beyond `size_bytes`: writes are cut short, then fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_lines_are_appended(log_file: LogFile) -> None:
    log_file.append(b"one\n")
    log_file.append(b"two\nthree\n")
    assert log_file.path.read_bytes() == b"one\ntwo\nthree\n"
    assert log_file.size_bytes == 14


def test_full_disk_costs_lines_and_the_file_says_how_many(log_file: LogFile, events: list[str]) -> None:
    log_file.append(b"kept\n")
    with disk_with_room_for(5):
        log_file.append(b"lost\n")
        log_file.append(b"lost\nlost\n")
    log_file.append(b"again\n")
    assert log_file.path.read_text().splitlines() == [
        "kept",
        "[fastlb] 3 lines were lost here: the disk did not take them",
        "again",
    ]
    assert any("log_resumed" in event and "lost_lines=3" in event for event in events)


def test_mark_in_a_file_of_json_is_an_object(tmp_path: Path) -> None:
    log = EventLog(None)
    file = LogFile(tmp_path / "out", log, mark=make_mark(AppConfig(target="app:app", name="app", log_type="json")))
    with disk_with_room_for(0):
        file.append(b"{}\n{}\n")
    file.append(b"{}\n")
    file.close()
    mark, line = map(json.loads, file.path.read_text().splitlines())
    assert (mark["lost_lines"], mark["app"], line) == (2, "app", {})
    assert "2 lines were lost here" in mark["message"]


def test_line_that_was_cut_is_counted_and_does_not_run_into_the_next(log_file: LogFile) -> None:
    with disk_with_room_for(8):
        log_file.append(b"one\ntwo-and-more\nthree\n")
    log_file.append(b"again\n")
    lines = log_file.path.read_text().splitlines()
    assert lines == ["one", "two-", "[fastlb] 2 lines were lost here: the disk did not take them", "again"]


def test_mark_that_does_not_fit_is_written_later(log_file: LogFile) -> None:
    with disk_with_room_for(4):
        log_file.append(b"a\nb\nc\n")
        log_file.append(b"d\n")
    with disk_with_room_for(10):
        log_file.append(b"e\n")
    log_file.append(b"f\n")
    lines = log_file.path.read_text().splitlines()
    assert lines[:2] == ["a", "b"]
    assert lines[-2:] == ["[fastlb] 3 lines were lost here: the disk did not take them", "f"]


def test_warning_comes_once_a_second(log_file: LogFile, events: list[str]) -> None:
    began = time.monotonic()
    with disk_with_room_for(0):
        for _ in range(200):
            log_file.append(b"lost\n")
    warnings = [event for event in events if "log_not_writable" in event]
    assert 1 <= len(warnings) <= 1 + time.monotonic() - began
    assert "reason=" in warnings[0]


def test_file_in_a_directory_that_cannot_be_is_a_clear_error(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events")
    try:
        with pytest.raises(FastlbError, match=r"cannot write .*events/out: (Not a directory|File exists)"):
            LogFile(tmp_path / "events" / "out", log)
    finally:
        log.close()


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="needs /dev/full")
def test_no_space_is_what_the_warning_says(tmp_path: Path, events: list[str]) -> None:
    log = EventLog(tmp_path / "events", lambda line: events.append(line.decode()))
    file = LogFile(Path("/dev/full"), log)
    try:
        file.append(b"lost\n")
        assert os.strerror(errno.ENOSPC) in events[-1]
    finally:
        file.close()
        log.close()


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def set_zone(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


def test_file_of_another_day_is_closed(tmp_path: Path, set_zone: Callable[[str], None]) -> None:
    def open_files() -> list[str]:
        found = []
        for name in os.listdir("/proc/self/fd"):
            with suppress(FileNotFoundError):  # that of the listing itself
                found.append(os.readlink(f"/proc/self/fd/{name}"))
        return [path for path in found if path.startswith(str(tmp_path))]

    set_zone("UTC+12")
    templates: dict[Output, LogTemplate] = {"out": LogTemplate(str(tmp_path / "${date}.log"), "shop")}
    files = LogFiles(templates, NEVER, EventLog(None), LogIndex(None, lambda reason: None))
    (first,) = open_files()
    set_zone("UTC-14")  # 26 hours on

    def is_next_day_written() -> bool:
        files.append(Origin("shop", 0, os.getpid(), "out"), b"line\n")
        return len(list(tmp_path.iterdir())) == 2

    wait_until(is_next_day_written, "the file of the next day is written", 15)
    (second,) = open_files()
    assert second != first
    files.close()
    assert not open_files()
