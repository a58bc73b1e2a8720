"""Owns signals that a user sends to workers: to whom one goes, and which would break more than they say.

Runs in the supervisor process. How a worker is told to end is none of this: departure.py decides it.
"""

import signal
from collections.abc import Iterable, Sequence

from ..errors import FastlbError
from ..settings.signal_names import signal_name
from .handle import WorkerHandle
from .life import ALIVE
from .roster import staying

# Whoever sends one of these to a program means its end.
ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGKILL})
# A process that does not handle them goes on.
HARMLESS = frozenset({signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH})
STOPPING = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})


def meant(members: Sequence[WorkerHandle], worker_id: int | None) -> list[WorkerHandle]:
    """Return the living workers of this number, or all that live.

    Raises:
        FastlbError: there is none.
    """
    living = [member for member in staying(members) if member.incarnation and member.life.state in ALIVE]
    found = [member for member in living if worker_id in (None, member.worker_id)]
    if not found:
        which = "no worker" if worker_id is None else f"no worker {worker_id}"
        raise FastlbError(f"{which} runs now: `fastlb show` says what does")
    return found


def signal_workers(workers: Iterable[WorkerHandle], number: int, *, is_served: bool) -> str:
    """Send a signal to the process of each worker; return a sentence. All get it, or none.

    `is_served`: clients are handed to the workers, so that somebody waits for them.

    Raises:
        FastlbError: one of them would be broken by it; the message says by what it is.
    """
    processes = [(worker.worker_id, worker.incarnation) for worker in workers if worker.incarnation]
    for worker_id, incarnation in processes:
        reason = objection(number, handles(incarnation.process.pid, number), is_served=is_served)
        if reason:
            raise FastlbError(f"{signal_name(number)} was not sent: worker {worker_id} {reason}")
    for _, incarnation in processes:
        incarnation.held.send(number)
    count = len(processes)
    return f"sent {signal_name(number)} to {count} process{'es' if count > 1 else ''}"


def objection(number: int, is_handled: bool, *, is_served: bool) -> str:
    """Return why a process must not be sent a signal, as a phrase behind "worker 1"; "": it may."""
    if is_served and number == signal.SIGKILL:
        return "would lose the requests that it has: `fastlb reload` replaces workers without that"
    if is_served and number in STOPPING and not is_handled:
        return "would stand still with the connections that it has, and be killed after hang_timeout"
    may_end = number in ENDING and not is_served
    if is_handled or may_end or number in HARMLESS or number in STOPPING:
        return ""
    return "has no handler for it, and would end: `fastlb reload` and `fastlb restart` replace workers"


def handles(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal, or ignores it. proc_pid_status(5)"""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            masks = [int(line.split()[1], 16) for line in file if line.startswith((b"SigCgt:", b"SigIgn:"))]
    except (OSError, ValueError, IndexError):
        return False  # it has gone meanwhile
    return any(mask >> (number - 1) & 1 for mask in masks)
