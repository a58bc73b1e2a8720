"""One event is one line, whatever is in it; a disk that refuses costs events only."""

import os
import re
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastlb.supervisor.output.event_log import MAX_FIELD_CHARACTERS, EventLog, format_event
from fastlb.supervisor.output.line_file import open_log
from hypothesis import given
from hypothesis import strategies as st

LINE = re.compile(r"[-\d]+T[:\d]+\.\d{3}Z (INFO|WARNING|ERROR) \S+( \S+=(\"[^\n]*\"|\S*))*\n")


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow: as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_event_has_time_level_name_and_fields() -> None:
    line = format_event(0.25, "INFO", "worker_admitted", {"worker_id": 3, "reason": "killed by SIGSEGV"})
    expected = '1970-01-01T00:00:00.250Z INFO worker_admitted worker_id=3 reason="killed by SIGSEGV"\n'
    assert line == expected


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\nb", r'"a\nb"'),
        ("\x1b]0;x\a", r'"\x1b]0;x\x07"'),
        ("\r", r'"\r"'),
        ('say "no"', r'"say \"no\""'),
        ("back\\slash", r'"back\\slash"'),
        ("\u2028\u202e\x85", r'"\u2028\u202e\x85"'),
        ("\udcff", r'"\udcff"'),
        ("", '""'),
        ("x=y", '"x=y"'),
    ],
)
def test_untrusted_text_is_escaped(text: str, written: str) -> None:
    assert format_event(0, "INFO", "event", {"field": text}).endswith(f" event field={written}\n")


@given(st.text())
def test_any_text_stays_on_one_line_of_valid_utf8(text: str) -> None:
    line = format_event(0, "ERROR", "event", {"field": text, "after": 1})
    assert LINE.fullmatch(line)
    assert line.encode().count(b"\n") == 1
    assert line.endswith(" after=1\n")
    assert len(line.splitlines()) == 1


def test_long_field_is_cut() -> None:
    line = format_event(0, "INFO", "event", {"field": "x" * 1_000_000})
    assert len(line) < MAX_FIELD_CHARACTERS + 100
    assert line.endswith("...\n")


def test_log_appends_and_echoes(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.log"
    path.write_text("before\n")
    echoed: list[bytes] = []
    log = EventLog(path, echoed.append)
    log.info("started", pid=1)
    log.warning("odd")
    log.error("failed")
    log.close()
    lines = path.read_text().splitlines()
    assert [line.split()[1:3] for line in lines[1:]] == [
        ["INFO", "started"],
        ["WARNING", "odd"],
        ["ERROR", "failed"],
    ]
    assert b"".join(echoed).decode().splitlines() == lines[1:]


def test_log_file_is_not_for_others_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        os.close(open_log(tmp_path / "log"))
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o640


def test_log_does_not_follow_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        open_log(tmp_path / "log")
    assert not (tmp_path / "elsewhere").exists()


def test_file_that_was_moved_away_is_opened_anew_with_standard_error(tmp_path: Path) -> None:
    code = """if True:
        import os, sys
        from pathlib import Path
        from fastlb.supervisor.output import line_file
        from fastlb.supervisor.output.event_log import EventLog
        line_file.LOOK_INTERVAL = 0
        path = Path(sys.argv[1])
        log = EventLog(path)
        os.dup2(line_file.open_log(path), 2)
        log.info("before")
        path.rename(path.with_name("moved"))
        log.info("after")
        os.write(2, b"said by python")
    """
    path = tmp_path / "supervisor.log"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert " INFO before\n" in (tmp_path / "moved").read_text()
    moved_to = path.read_text()
    assert " INFO after\n" in moved_to
    assert moved_to.endswith("said by python")
    assert "before" not in moved_to


def test_lost_events_are_counted_once_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = EventLog(path)
    with full_disk():
        log.info("lost_one")
        log.info("lost_two")
    log.info("kept")
    log.close()
    lost, kept = path.read_text().splitlines()
    assert "WARNING events_lost count=2" in lost
    assert kept.endswith(" INFO kept")
