"""Owns what is said to a service manager: the words of sd_notify(3) for what an app is doing. Pure; supervisor process.

Only what has changed is said again, so a manager that was busy misses nothing: it hears the next time.
"""

from dataclasses import dataclass
from enum import Enum

from ..control.protocol import AppEntry
from ..safe_text import escape_line

LONGEST_STATUS = 200
WORKS_THAT_RELOAD = ("reload", "restart")


class Phase(Enum):
    """What the app is to its service manager."""

    STARTING = "starting"
    READY = "ready"
    RELOADING = "reloading"
    STOPPING = "stopping"


@dataclass(frozen=True)
class Said:
    """What a service manager has been told. `status`: a sentence for people."""

    phase: Phase = Phase.STARTING
    status: str = ""


def said_of(entry: AppEntry, phase: Phase, failure: str = "") -> Said:
    """Return what is to be said of an app.

    Args:
        entry: what `list` says of it.
        phase: STARTING, READY or STOPPING; READY becomes RELOADING while its workers are replaced on request.
        failure: why the last operation failed; "": it did not.
    """
    is_replaced = any(work.state == "runs" and work.operation in WORKS_THAT_RELOAD for work in entry.operations)
    if phase is Phase.READY and is_replaced:
        phase = Phase.RELOADING
    online = sum(worker.status == "online" for worker in entry.workers)
    where = f", on {', '.join(entry.binds)}" if entry.binds else ""
    failed = f"; {failure}" if failure and phase is Phase.READY else ""
    return Said(phase, escape_line(f"{entry.status}: {online} of {entry.target_workers} workers online{where}{failed}"))


def message(now: Said, before: Said, pid: int, monotonic_us: int, *, is_alive: bool = False) -> bytes:
    """Return the datagram that says `now` to a manager that has heard `before`; empty: there is nothing to say.

    Args:
        now, before: what is so, and what was said last.
        pid: of the main process.
        monotonic_us: of CLOCK_MONOTONIC, in microseconds; it goes with RELOADING=1.
        is_alive: say the watchdog's word, too.
    """
    lines = []
    if now.phase is not before.phase:
        lines += _phase_lines(now.phase, pid, monotonic_us)
    if now.status != before.status:
        lines.append(f"STATUS={now.status[:LONGEST_STATUS]}")
    if is_alive:
        lines.append("WATCHDOG=1")
    return "\n".join(lines).encode()


def _phase_lines(phase: Phase, pid: int, monotonic_us: int) -> list[str]:
    match phase:
        case Phase.READY:
            return ["READY=1", f"MAINPID={pid}"]
        case Phase.RELOADING:
            return ["RELOADING=1", f"MONOTONIC_USEC={monotonic_us}"]
        case Phase.STOPPING:
            return ["STOPPING=1"]
        case Phase.STARTING:
            return []
