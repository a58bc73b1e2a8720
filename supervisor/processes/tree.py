"""Owns which processes hang below another one, read from /proc, and a signal to all of them.

Runs in the supervisor process, and in the user's shell. It must never signal a process that took over the number of
one that has gone: each is held by pidfd before it is looked at.
"""

import contextlib
import os
import signal
from dataclasses import dataclass

# Below one process: what is beyond is not seen, and no look takes long.
MOST_PROCESSES = 1000
PARENT_FIELD = 1  # of /proc/PID/stat, behind the name: state, parent


@dataclass(frozen=True)
class HeldProcess:
    """A process and what no other one can take over from it. Whoever holds this owns `pidfd`."""

    pid: int
    pidfd: int

    def send(self, number: int) -> None:
        """Signal it; nothing happens if it has exited, or may not be signalled."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(self.pidfd, number)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.pidfd)


def hold(pid: int) -> HeldProcess | None:
    """Return the process that has this number now; None: there is none, or no descriptor for it."""
    try:
        return HeldProcess(pid, os.pidfd_open(pid))
    except OSError:
        return None


def children_of(pid: int) -> list[int]:
    """Return the children of a process, exited ones included; none when it has gone.

    Any of its threads may have forked some: /proc/PID/task/TID/children, see proc(5).
    """
    children: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                children += map(int, file.read().split())
    except (OSError, ValueError):
        pass  # it has gone meanwhile, or this kernel has no such file
    return children


def process_tree(pid: int) -> list[int]:
    """Return a process and all its descendants that live now, parents before their children."""
    found = [pid]
    for parent in found:
        if len(found) > MOST_PROCESSES:
            break
        found += children_of(parent)
    return found


def signal_tree(root: HeldProcess, signal_name: str) -> int:
    """Send a signal to a process and all its descendants, the deepest first. Return to how many.

    Children come before their parent: a parent that ends its children itself finds them ending.
    """
    number = signal.Signals[signal_name]
    tree = process_tree(root.pid)
    signalled = 0
    for pid in reversed(tree[1:]):
        process = hold(pid)
        if process is None:
            continue
        with contextlib.closing(process):
            if parent_of(pid) in tree:  # else the number is another's by now
                process.send(number)
                signalled += 1
    root.send(number)
    return signalled + 1


def parent_of(pid: int) -> int:
    """Return the parent of a process; 0 when it has gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[PARENT_FIELD])
    except (OSError, ValueError, IndexError):
        return 0
