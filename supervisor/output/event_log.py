"""Owns NAME-supervisor.log: what the supervisor did and saw, one event one line. Runs in it.

    2026-03-01T12:00:00.123Z INFO worker_admitted worker_id=3 pid=4711
    2026-03-01T12:00:01.456Z ERROR worker_died worker_id=3 reason="killed by SIGSEGV"

It must never raise because of the disk, and never let a field's content look like another event.
"""

import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

# What may break a line or repaint a terminal: C0, DEL and C1, line separators, bidirectional controls, and
# lone surrogates (bytes that were not UTF-8).
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,\-\[\]]+")
MAX_FIELD_CHARACTERS = 16384
LOG_MODE = 0o640


def open_log(path: Path) -> int:
    """Open a log file for appending, made with mode 0640 if it is new; return the descriptor.

    A symbolic link in its place is refused: as root we would write wherever it points.

    Raises:
        OSError: as open(2) says.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    umask = os.umask(0o027)
    try:
        return os.open(path, flags, LOG_MODE)
    finally:
        os.umask(umask)


def escape_controls(text: str) -> str:
    r"""Replace what is not safe on one line of a terminal by its Python escape (`\x1b`, `\u2028`)."""
    return _UNSAFE.sub(lambda match: ascii(match.group())[1:-1], text)


def format_event(timestamp: float, level: str, event: str, fields: dict[str, object]) -> str:
    """One line, with its newline, valid UTF-8. `timestamp`: seconds since the epoch."""
    moment = datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    pairs = "".join(f" {key}={_format_value(value)}" for key, value in fields.items())
    return f"{moment} {level} {escape_controls(event)}{pairs}\n"


def _format_value(value: object) -> str:
    text = str(value)
    if len(text) > MAX_FIELD_CHARACTERS:
        text = text[:MAX_FIELD_CHARACTERS] + "..."
    if _PLAIN.fullmatch(text):
        return text
    return '"' + escape_controls(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


class EventLog:
    """Writes events; a full disk costs events, and is told once there is room again.

    `fd`: from `open_log`, owned from here on. `echo` also gets every line (the terminal of `fastlb run`).
    """

    def __init__(self, fd: int, echo: Callable[[bytes], None] | None = None) -> None:
        self._fd = fd
        self._echo = echo
        self._lost_events = 0

    def info(self, event: str, **fields: object) -> None:
        """Something normal happened. `event` is a word such as worker_admitted; `fields` are its details."""
        self._write("INFO", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something happened that the operator should look at; service goes on."""
        self._write("WARNING", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Something failed."""
        self._write("ERROR", event, fields)

    def close(self) -> None:
        """Close the file. Later events go nowhere."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        line = format_event(time.time(), level, event, fields).encode()
        if self._echo:
            self._echo(line)
        if self._lost_events:
            lost = format_event(time.time(), "WARNING", "events_lost", {"count": self._lost_events})
            if self._append(lost.encode()):
                self._lost_events = 0
        if not self._append(line):
            self._lost_events += 1

    def _append(self, line: bytes) -> bool:
        if self._fd < 0:
            return True
        try:
            os.write(self._fd, line)
        except OSError:
            return False
        return True
