"""Owns the end of every process that we started: how it is noticed, what goes with it, how it is collected.

Runs in the supervisor process. Processes are known by pidfd, so a signal never reaches a stranger. A leader
is reaped only after the rest of its group was killed: until then its number cannot be given to anybody else.
"""

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from .tree import children_of

# PIDFD_SIGNAL_PROCESS_GROUP of pidfd_send_signal(2), Linux 6.9.
_PROCESS_GROUP_FLAG = 1 << 2
_SET_CHILD_SUBREAPER = 36  # of prctl(2)
# Whoever waits for a child itself, in a thread, has taken it by then.
UNCLAIMED_SECONDS = 0.5
SIGNAL_CODES = 128


@dataclass(frozen=True)
class ExitStatus:
    """How a process ended: exactly one of exit code and signal number is not None. `has_core`: it left a core dump."""

    code: int | None
    signal: int | None
    has_core: bool = False

    @property
    def shell_code(self) -> int:
        """The exit code as a shell has it: 128 and the signal's number for a process that was killed."""
        return self.code or 0 if self.signal is None else SIGNAL_CODES + self.signal

    def __str__(self) -> str:
        """A phrase: "exited with code 1", "killed by SIGSEGV"."""
        if self.signal is None:
            return f"exited with code {self.code}"
        return f"killed by {signal_name(self.signal)}{', with a core dump' if self.has_core else ''}"


def signal_name(number: int) -> str:
    """Return "SIGSEGV"; of a real-time signal, which has no name of its own, "SIGRTMIN+3"."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}" if number > signal.SIGRTMIN else f"signal {number}"


OnExit = Callable[[ExitStatus], None]


class Reaper:
    """Waits for the processes that it is told to watch, and reaps each exactly once.

    As process 1 of a container, or a sub-reaper, (`adopts_orphans`) it also collects the children of dead processes.
    That is not done on SIGCHLD, which the event loop keeps to itself, but when asked.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, adopts_orphans: bool = False) -> None:
        self._loop = loop
        self._watched: dict[int, int] = {}  # pid by pidfd
        self._unclaimed: dict[int, float] = {}  # pids of exited children that nobody watches, and since when
        self.adopts_orphans = adopts_orphans

    def watch(self, pid: int, pidfd: int, on_exit: OnExit) -> None:
        """Call `on_exit` once `pid` has exited, its group is killed and it is reaped; borrows `pidfd`."""
        self._watched[pidfd] = pid
        self._loop.add_reader(pidfd, self._on_exited, pid, pidfd, on_exit)

    def _on_exited(self, pid: int, pidfd: int, on_exit: OnExit) -> None:
        self._loop.remove_reader(pidfd)
        with contextlib.suppress(OSError):  # a group that we may not signal lives on; the leader is reaped all the same
            kill_group(pid, pidfd)
        status = _reap(os.P_PIDFD, pidfd)
        del self._watched[pidfd]
        on_exit(status)
        self.collect_orphans()

    def unwatched_children(self) -> list[int]:
        """Return our children that nobody watches: orphans, and commands whose end somebody waits for."""
        watched = set(self._watched.values())
        return [pid for pid in children_of(os.getpid()) if pid not in watched]

    def collect_orphans(self) -> None:
        """Reap exited children that nobody watches or waits for, if we adopt orphans: call it now and then."""
        if not self.adopts_orphans or not _has_exited_child():
            return
        now = self._loop.time()
        exited = [pid for pid in self.unwatched_children() if _has_exited(pid)]
        self._unclaimed = {pid: self._unclaimed.get(pid, now) for pid in exited}
        for pid, since in self._unclaimed.items():
            if now - since >= UNCLAIMED_SECONDS:
                with contextlib.suppress(ChildProcessError):
                    _reap(os.P_PID, pid)


def become_subreaper() -> bool:
    """Have orphans among our descendants become our children; return whether they do. prctl(2)

    False where the C library cannot be called; process 1 of a container inherits everybody's orphans anyway.
    """
    try:
        import ctypes

        return ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 or os.getpid() == 1
    except (ImportError, OSError, AttributeError):
        return os.getpid() == 1


def send_signal(pidfd: int, signal_name: str) -> None:
    """Send a signal to the process alone; nothing happens if it has exited."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.Signals[signal_name])


def kill_group(pid: int, pidfd: int) -> None:
    """SIGKILL everything in the process group of `pid`, which must not have been reaped."""
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL, None, _PROCESS_GROUP_FLAG)
    except ProcessLookupError:
        return
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _has_exited_child() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def _has_exited(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def _reap(kind: int, number: int) -> ExitStatus:
    found = os.waitid(kind, number, os.WEXITED)
    assert found is not None  # without WNOHANG
    if found.si_code == os.CLD_EXITED:
        return ExitStatus(found.si_status, None)
    return ExitStatus(None, found.si_status, has_core=found.si_code == os.CLD_DUMPED)
