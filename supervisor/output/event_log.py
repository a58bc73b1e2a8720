"""Owns NAME-supervisor.log: what the supervisor did and saw, one event one line. Runs in it.

The same events go to NAME-events.jsonl, for programs and for `fastlb events`.

    2026-03-01T12:00:00.123Z INFO worker_admitted worker_id=3 pid=4711
    2026-03-01T12:00:01.456Z ERROR worker_died worker_id=3 reason="killed by SIGSEGV"

It must never raise because of the disk, and never let a field's content look like another event.
"""

import re
from collections.abc import Callable
from pathlib import Path

from ..errors import FastlbError
from ..safe_text import escape_line
from . import wall_clock
from .event_file import EventFile
from .event_record import format_time
from .line_file import LineFile, Problem

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,\-\[\]]+")
MAX_FIELD_CHARACTERS = 16384
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
    """Writes events to a file; a full disk costs events, and is told once there is room again.

    Args:
        path: of the file; created at once. None: there is none, and `echo` gets everything.
        echo: also gets every line (the terminal of `fastlb run`).
        events: also gets every event; closed with the log.

    Raises:
        FastlbError: it cannot be opened.
    """

    def __init__(
        self, path: Path | None, echo: Callable[[bytes], None] | None = None, events: EventFile | None = None
    ) -> None:
        self._echo = echo
        self._events = events
        try:
            self._file = LineFile(path, _events_lost, self._report, twin_fd=STDERR_FD) if path else None
        except OSError as error:
            raise FastlbError(f"cannot write {path}: {error.strerror}") from error

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
        if self._file:
            self._file.reopen_if_moved()
        if self._events:
            self._events.reopen_if_moved()

    def close(self) -> None:
        """Close the file. Later events go nowhere."""
        if self._file:
            self._file.close()
        if self._events:
            self._events.close()

    def _report(self, problem: Problem) -> None:
        # The others are not for this file: it cannot be written, or says by a mark what it lacks.
        if self._file and problem.event == "log_not_reopened":
            self.warning(problem.event, file=self._file.path, reason=problem.reason)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        now = wall_clock.now()
        if self._events:
            self._events.append(now, level.lower(), event, fields)
        line = format_event(now, level, event, fields).encode()
        if self._echo:
            self._echo(line)
        if self._file:
            self._file.append(line)


def _events_lost(count: int) -> bytes:
    return format_event(wall_clock.now(), "WARNING", "events_lost", {"count": count}).encode()
