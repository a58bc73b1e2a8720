"""Owns the start of every process that belongs to an app and outlives a call: workers and dispatcher.

Runs in the supervisor process. Not here: the supervisor itself (launch/starter.py), and `node --version`, whose end
is waited for (node/target/interpreter.py). A child inherits exactly the descriptors that it is given, and gets a
process group of its own, so that a ^C on the terminal reaches the supervisor only and a group can be killed whole.
It must never fork without exec, and never leave a descriptor inheritable: a channel that a child holds by
accident would hide our death from the others.
"""

import errno
import fcntl
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ..errors import FastlbError

# What Python ignores for itself and a child is to have as every process does.
SIGNALS_OF_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
STDIN, STDOUT, STDERR = 0, 1, 2
MOST_DESCRIPTORS_WITHOUT_PROC = 1024

FileAction = tuple[Any, ...]


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
        command: program (without a slash: looked for on the PATH of `env`) and arguments.
        pass_fds: borrowed descriptors that it inherits, by the number that each has there: above 2, or 0.
        env: its whole environment; None: ours.
        cwd: its working directory; "": ours.
        stdout_fd, stderr_fd: borrowed; None: ours.
    """

    command: list[str]
    pass_fds: Mapping[int, int]
    env: Mapping[str, str] | None = None
    cwd: str = ""
    stdout_fd: int | None = None
    stderr_fd: int | None = None


def spawn(plan: SpawnPlan) -> SpawnedProcess:
    """Start a process; its standard input is /dev/null, unless `pass_fds` has another one.

    Not by `subprocess`: it passes descriptors on under their own numbers only.

    Raises:
        SpawnError: it could not be started.
    """
    try:
        _mark_ours()
        with ExitStack() as copies, _working_directory(plan.cwd):
            env = os.environ if plan.env is None else plan.env
            pid = os.posix_spawn(
                find_program(plan.command[0], env),
                plan.command,
                env,
                file_actions=_file_actions(plan, copies),
                setpgroup=0,
                setsigdef=SIGNALS_OF_PYTHON,
            )
    except OSError as error:
        raise SpawnError(_explain(error, plan)) from error
    return SpawnedProcess(pid, _open_pidfd(pid))


def find_program(name: str, env: Mapping[str, str]) -> str:
    """Return the path of a program; a name without a slash is looked for on the PATH of `env`.

    Raises:
        FileNotFoundError: it is not there.
    """
    if "/" in name:
        return name
    found = shutil.which(name, path=env.get("PATH"))
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    return found


def _file_actions(plan: SpawnPlan, copies: ExitStack) -> list[FileAction]:
    """What the child does with its descriptors before it becomes the program.

    Each is taken from a copy that has none of the child's numbers: none is overwritten before its turn, and none has
    its number already, which would leave it close-on-exec with older C libraries. `copies` closes them.
    """
    wanted = dict(plan.pass_fds)
    wanted |= {number: fd for number, fd in ((STDOUT, plan.stdout_fd), (STDERR, plan.stderr_fd)) if fd is not None}
    actions: list[FileAction] = [(os.POSIX_SPAWN_OPEN, STDIN, os.devnull, os.O_RDONLY, 0)]
    for number, fd in wanted.items():
        copy = _copy(fd, copies)
        while copy in wanted:
            copy = _copy(fd, copies)
        actions.append((os.POSIX_SPAWN_DUP2, copy, number))
    return actions


def _copy(fd: int, copies: ExitStack) -> int:
    """Of any number: where the limit of descriptors is low there are none above others."""
    copy = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, STDERR + 1)
    copies.callback(os.close, copy)
    return copy


def _mark_ours() -> None:
    """Make what this process was started with close-on-exec, too; Python opens nothing that is inheritable."""
    try:
        open_fds = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        open_fds = list(range(MOST_DESCRIPTORS_WITHOUT_PROC))
    for fd in open_fds:
        with suppress(OSError):  # that of the listing, or none
            if fd > STDERR and os.get_inheritable(fd):
                os.set_inheritable(fd, False)


@contextmanager
def _working_directory(path: str) -> Iterator[None]:
    """Be in this directory for a moment, which a child inherits: posix_spawn(3) cannot be told of one everywhere.

    The event loop's thread does nothing else meanwhile, and others of this process use no relative paths but those of
    Node apps, whose directory is ours for good.
    """
    if not path:
        yield
        return
    before = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(path)
        try:
            yield
        finally:
            os.fchdir(before)
    finally:
        os.close(before)


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
