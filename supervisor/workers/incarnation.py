"""Owns everything that the supervisor holds of one worker process, whatever its kind. Runs in the supervisor process.

Each descriptor has one owner: the channels belong to the link, the pipes to the output, the pidfd is here.
"""

import os
from contextlib import ExitStack
from dataclasses import dataclass

from ..output.pipes import AttachedOutput
from ..processes.hang import WorkerWatch
from ..processes.reaper import kill_group, send_signal
from ..processes.spawn import SpawnedProcess
from ..processes.tree import HeldProcess, signal_tree
from ..readiness.notify_socket import NotifySocket
from .runtime import Pulse, WorkerLink


@dataclass(frozen=True)
class OutputPipes:
    """Both ends of the pipes behind a process's stdout and stderr: ours, and its own (`worker_...`)."""

    stdout_fd: int
    worker_stdout_fd: int
    stderr_fd: int
    worker_stderr_fd: int


def open_pipes(ours: ExitStack, theirs: ExitStack) -> OutputPipes:
    """Open the pipes of a process; each stack closes its ends.

    Raises:
        OSError: no descriptors are left.
    """
    stdout_fd, worker_stdout_fd = _open_pipe(ours, theirs)
    stderr_fd, worker_stderr_fd = _open_pipe(ours, theirs)
    return OutputPipes(stdout_fd, worker_stdout_fd, stderr_fd, worker_stderr_fd)


def _open_pipe(ours: ExitStack, theirs: ExitStack) -> tuple[int, int]:
    read_fd, write_fd = os.pipe()
    ours.callback(os.close, read_fd)
    theirs.callback(os.close, write_fd)
    return read_fd, write_fd


@dataclass
class Incarnation:
    """One process of a worker. Owns `link` and the pidfd until `close`; `output` owns the pipes.

    Attributes:
        process: pid and pidfd.
        link: its channels.
        output: reads its stdout and stderr.
        notify: by which it speaks sd_notify; None: it cannot.
        watch: what was seen of its heartbeat.
        started_at: monotonic seconds.
        number: never used again.
        is_reaped: its pid belongs to nobody any more, or to a stranger.
        was_killed: we have sent it SIGKILL.
    """

    process: SpawnedProcess
    link: WorkerLink
    output: AttachedOutput
    watch: WorkerWatch
    started_at: float
    number: int
    notify: NotifySocket | None = None
    is_reaped: bool = False
    was_killed: bool = False

    @property
    def held(self) -> HeldProcess:
        """The process; borrowed."""
        return HeldProcess(self.process.pid, self.process.pidfd)

    def send_signal(self, signal_name: str, *, to_tree: bool) -> None:
        """Signal the process alone, or all processes below it as well."""
        if self.is_reaped:
            return
        self.was_killed |= signal_name == "SIGKILL"
        if to_tree:
            signal_tree(self.held, signal_name)
        else:
            send_signal(self.process.pidfd, signal_name)

    def kill_group(self) -> None:
        """SIGKILL the process and its group."""
        if not self.is_reaped:
            self.was_killed = True
            kill_group(self.process.pid, self.process.pidfd)

    def pulse(self) -> Pulse | None:
        """Return when the process last gave a sign of life, None where nobody can know."""
        pulse = self.link.pulse()
        if pulse is None and self.notify and self.notify.alive_ns:
            return Pulse(self.notify.alive_ns, 0)
        return pulse

    def take_last_words(self) -> None:
        """Read what the process, which has exited, left behind."""
        self.link.take_last_words()
        if self.notify:
            self.notify.take_last_words()

    def close(self) -> None:
        """Close what we hold; the process must have been reaped."""
        if self.notify:
            self.notify.close()
        self.link.close()
        os.close(self.process.pidfd)
