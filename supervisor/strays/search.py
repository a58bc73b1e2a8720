"""Owns finding the processes that carry a token. Supervisor, and shell. Signals nobody.

The environment of a process is read as it was given to it (/proc/PID/environ, proc(5)). One whose environment we may
not read, or that has none, is not found: it is left alone.
"""

import os
import select
from collections.abc import Callable, Iterable

from ..processes.tree import HeldProcess, hold
from .token import VARIABLE

# The kernel takes no larger environments: 3/4 of _STK_LIM, execve(2).
MOST_ENVIRON_BYTES = 6 << 20
ASSIGNMENT = f"{VARIABLE}=".encode()


def find_carriers(pids: Iterable[int], is_wanted: Callable[[str], bool]) -> list[HeldProcess]:
    """Return those of `pids` that run and whose token `is_wanted`; the caller closes them."""
    found = []
    for pid in pids:
        process = hold(pid) if pid > 1 and pid != os.getpid() else None
        if process is None:
            continue
        # Held before it was read, and living afterwards: what was read is its own.
        if is_wanted(read_token(pid)) and not has_exited(process):
            found.append(process)
        else:
            process.close()
    return found


def read_token(pid: int) -> str:
    """Return the token of a process; empty: it has none, or we may not see it."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environ = b"\0" + file.read(MOST_ENVIRON_BYTES)
    except OSError:
        return ""
    _, found, rest = environ.partition(b"\0" + ASSIGNMENT)
    return rest.partition(b"\0")[0].decode(errors="replace") if found else ""


def has_exited(process: HeldProcess) -> bool:
    """Whether a process has exited."""
    poll = select.poll()
    poll.register(process.pidfd, select.POLLIN)
    return bool(poll.poll(0))


def all_pids() -> list[int]:
    """Return the numbers of all processes that we can see."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
