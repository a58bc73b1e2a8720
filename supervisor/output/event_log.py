"""Owns NAME-supervisor.log: what the supervisor did and saw, one event one line. Runs in it.

The same events go to NAME-events.jsonl, for programs and for `fastlb events`.

    2026-03-01T12:00:00.123Z INFO worker_admitted worker_id=3 pid=4711
    2026-03-01T12:00:01.456Z ERROR worker_died worker_id=3 reason="killed by SIGSEGV"

A thread writes. What happened is in the file before anything follows from it, but for a disk that hangs, which holds up
nobody for longer than PATIENCE. It must never raise because of the disk, and never let a field's content look like
another event.
"""

import os
import re
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..errors import FastlbError
from ..safe_text import escape_line
from . import wall_clock
from .event_file import EventFile
from .event_record import format_time
from .event_tally import EventTally
from .line_file import LineFile, Problem
from .writer_thread import WriterThread

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,\-\[\]]+")
MAX_FIELD_CHARACTERS = 16384
MAX_WAITING_BYTES = 1 << 20
CLOSE_SECONDS = 1.0
PATIENCE = 0.05
Job = Callable[[], object]
STDERR_FD = 2  # the launcher made it this file: what Python itself says when it ends


def format_event(timestamp: float, level: str, event: str, fields: dict[str, object]) -> str:
    """One line, with its newline, valid UTF-8. `timestamp`: seconds since the epoch."""
    pairs = "".join(f" {key}={_format_value(value)}" for key, value in fields.items())
    return f"{format_time(timestamp)} {level} {escape_line(event)}{pairs}\n"


def _format_value(value: object) -> str:
    text = str(value)
    if len(text) > MAX_FIELD_CHARACTERS:
        text = text[:MAX_FIELD_CHARACTERS] + "..."
    if _PLAIN.fullmatch(text):
        return text
    return '"' + escape_line(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


class EventLog:
    """Writes events to a file. A disk that is full or hangs costs events; the file says so once there is room again.

    Any thread may use it.

    Args:
        path: of the file; created at once. None: there is none, and `echo` gets everything.
        echo: also gets every line (the terminal of `fastlb run`).
        events: also gets every event; closed with the log.

    Attributes:
        hide: what a text becomes before anybody sees it.
        tally: how often what has happened.

    Raises:
        FastlbError: it cannot be opened.
    """

    def __init__(
        self, path: Path | None, echo: Callable[[bytes], None] | None = None, events: EventFile | None = None
    ) -> None:
        self.hide: Callable[[str], str] = lambda text: text
        self._echo = echo
        self._path = path
        self.listener: Callable[[bytes], None] = lambda line: None
        self.tally = EventTally()
        self._events = events
        self._putting = threading.Lock()
        self._lost = 0
        self._hangs = False
        try:
            self._file = LineFile(path, _events_lost, self._report, twin_fd=STDERR_FD) if path else None
        except OSError as error:
            raise FastlbError(f"cannot write {path}: {error.strerror}") from error
        self._thread: WriterThread[Job] | None = None
        if self._file or self._events:
            self._thread = WriterThread("events", lambda job: job(), lambda error: None)

    def info(self, event: str, **fields: object) -> None:
        """Something normal happened. `event` is a word such as worker_admitted; `fields` are its details."""
        self._write("INFO", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something happened that the operator should look at; service goes on."""
        self._write("WARNING", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Something failed."""
        self._write("ERROR", event, fields)

    def reopen_if_moved(self) -> None:
        """Open the file anew when its name leads to another one, or to none."""
        self._put(self._reopen, 0)

    def end(self) -> tuple[int, int, int] | None:
        """Return device, inode and size of the file; None: there is none."""
        try:
            status = os.stat(self._path, follow_symlinks=False) if self._path else None
        except OSError:
            return None
        return (status.st_dev, status.st_ino, status.st_size) if status else None

    @property
    def is_behind(self) -> bool:
        """Whether events are not in the file yet, as its disk hangs."""
        return self._thread is not None and self._thread.waiting_bytes > 0

    def close(self) -> None:
        """Write what waits, for at most CLOSE_SECONDS, and close the files. Later events go nowhere."""
        with self._putting:
            thread, self._thread = self._thread, None
        if thread:
            thread.close(CLOSE_SECONDS, self._close_files)

    def _report(self, problem: Problem) -> None:
        # The others are not for this file: it cannot be written, or says by a mark what it lacks.
        if self._file and problem.event == "log_not_reopened":
            self.warning(problem.event, file=self._file.path, reason=problem.reason)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        now = wall_clock.now()
        self.tally.note(level, event, fields, time.monotonic())
        fields = {name: self.hide(value) if isinstance(value, str) else value for name, value in fields.items()}
        line = format_event(now, level, event, fields).encode()
        if self._echo:
            self._echo(line)
        self.listener(line)
        self._put(partial(self._append, now, level.lower(), event, fields, line), len(line))

    def _put(self, job: Job, size_bytes: int) -> None:
        with self._putting:
            thread = self._thread
            if thread is None:
                return
            self._hangs = self._hangs and thread.waiting_bytes > 0
            if thread.waiting_bytes > MAX_WAITING_BYTES:
                self._lost += size_bytes > 0
                return
            if self._lost:
                thread.put(partial(self._lose, self._lost), 0)
                self._lost = 0
            thread.put(job, size_bytes)
        if not self._hangs:
            self._hangs = not thread.flush(PATIENCE)

    # What follows is done by the thread.

    def _append(self, now: float, level: str, event: str, fields: dict[str, object], line: bytes) -> None:
        if self._events:
            self._events.append(now, level, event, fields)
        if self._file:
            self._file.append(line)

    def _lose(self, count: int) -> None:
        if self._events:
            self._events.lose(count)
        if self._file:
            self._file.lose(count)

    def _reopen(self) -> None:
        if self._events:
            self._events.reopen_if_moved()
        if self._file:
            self._file.reopen_if_moved()

    def _close_files(self) -> None:
        if self._events:
            self._events.close()
        if self._file:
            self._file.close()


def _events_lost(count: int) -> bytes:
    return format_event(wall_clock.now(), "WARNING", "events_lost", {"count": count}).encode()
