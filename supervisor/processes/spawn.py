"""Owns the start of every process that belongs to an app and outlives a call: workers and dispatcher.

Runs in the supervisor process. Not here: the supervisor itself (launch/starter.py), and `node --version`, whose end
is waited for (node/target/interpreter.py). A child inherits exactly the descriptors that it is given, and gets a
process group of its own, so that a ^C on the terminal reaches the supervisor only and a group can be killed whole.
It must never fork without exec, and never leave a descriptor inheritable: a channel that a child holds by
accident would hide our death from the others.
"""

import errno
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..errors import FastlbError


@dataclass(frozen=True)
class SpawnedProcess:
    """A process that was started; whoever holds this owns `pidfd` and must reap the process."""

    pid: int
    pidfd: int


class SpawnError(FastlbError):
    """No process came to be; the message says why and what to do."""


@dataclass(frozen=True)
class SpawnPlan:
    """What to start.

    Attributes:
        command: program and arguments.
        pass_fds: borrowed descriptors that it inherits, under the same numbers.
        env: its whole environment; None: ours.
        cwd: its working directory; "": ours.
        stdout_fd, stderr_fd: borrowed; None: ours.
    """

    command: list[str]
    pass_fds: Iterable[int]
    env: Mapping[str, str] | None = None
    cwd: str = ""
    stdout_fd: int | None = None
    stderr_fd: int | None = None


def spawn(plan: SpawnPlan) -> SpawnedProcess:
    """Start a process with /dev/null as its standard input.

    Raises:
        SpawnError: it could not be started.
    """
    try:
        process = subprocess.Popen(
            plan.command,
            stdin=subprocess.DEVNULL,
            stdout=plan.stdout_fd,
            stderr=plan.stderr_fd,
            env=plan.env,
            cwd=plan.cwd or None,
            pass_fds=tuple(plan.pass_fds),
            process_group=0,
        )
    except OSError as error:
        raise SpawnError(_explain(error, plan)) from error
    # It is ours to reap, through the pidfd; Popen must not try.
    process.returncode = 0
    return SpawnedProcess(process.pid, _open_pidfd(process.pid))


def _open_pidfd(pid: int) -> int:
    """Works for a process that has exited meanwhile as well: nobody but us reaps it."""
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        raise SpawnError(f"cannot watch process {pid} (pidfd_open): {error.strerror}") from error


def _explain(error: OSError, plan: SpawnPlan) -> str:
    program = plan.command[0]
    cwd = plan.cwd or "the working directory"
    match error.errno:
        case errno.E2BIG:
            return f"cannot start {program}: arguments and environment are too large: use fewer"
        case errno.EAGAIN:
            return f"cannot start {program}: no more processes are allowed: raise `ulimit -u` or pids.max"
        case errno.ENOMEM:
            return f"cannot start {program}: the machine has no memory left for another process"
        case errno.EMFILE | errno.ENFILE:
            return f"cannot start {program}: no descriptors are left: raise `ulimit -n`"
        case errno.ENOENT | errno.ENOTDIR | errno.EACCES if error.filename != program:
            return f"cannot start a worker in {cwd}: {error.strerror}: restore the directory, or set cwd"
    return f"cannot start {program}: {error.strerror}"
