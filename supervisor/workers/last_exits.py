"""Owns what `show` says of processes that ended and had not been asked to: why, and their last words.

Runs in the supervisor process. Bounded in workers, lines and bytes; nothing in it can steer a terminal.
"""

from ..control.protocol import ExitEntry
from ..output import wall_clock
from ..output.event_record import format_time
from ..safe_text import escape_line

MOST_WORKERS = 16
MOST_LINES = 10
MOST_BYTES = 2048


class LastExits:
    """The last such exit of each worker id; of many workers, of those whose exit was last."""

    def __init__(self) -> None:
        self._by_worker: dict[int, ExitEntry] = {}

    @property
    def entries(self) -> list[ExitEntry]:
        """All of them, the latest last."""
        return list(self._by_worker.values())

    def note(self, worker_id: int, pid: int, reason: str, error_output: str) -> None:
        """Remember an exit; `error_output`: the end of what the process wrote to stderr."""
        self._by_worker.pop(worker_id, None)
        time = format_time(wall_clock.now())
        self._by_worker[worker_id] = ExitEntry(worker_id, pid, time, reason, last_lines(error_output))
        while len(self._by_worker) > MOST_WORKERS:
            del self._by_worker[next(iter(self._by_worker))]


def last_lines(text: str) -> list[str]:
    """Return the last lines, as plain text within MOST_BYTES; one that begins before that is cut."""
    lines: list[str] = []
    room = MOST_BYTES
    for line in reversed(text.rstrip("\n").split("\n")[-MOST_LINES:]):
        safe = escape_line(line).encode()
        if not room:
            break
        lines.insert(0, safe[-room:].decode(errors="ignore"))
        room -= min(len(safe), room)
    return lines if any(lines) else []
