"""Owns everything that the supervisor holds of one worker process. Runs in the supervisor process.

Each descriptor has one owner, written beside it. Both ends of the connection channel are held as well as lent
to the dispatcher: so a dispatcher that dies takes no connection with it that a worker has not taken yet.
"""

import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass

from ..lb.page import WorkerPageView, create_worker_page
from ..worker.wire import Serving
from .process_output import AttachedOutput
from .reaper import kill_group, send_signal
from .spawn import SpawnedProcess
from .watch import WorkerWatch
from .worker_channel import WorkerChannel


@dataclass(frozen=True)
class WorkerEnds:
    """All descriptors of a process that is about to be: ours, and its own (`worker_...`).

    `worker_end` is both: it inherits one, and we keep it to take connections back.
    """

    lifecycle: socket.socket
    worker_lifecycle: socket.socket
    dispatcher_end: socket.socket
    worker_end: socket.socket
    page_fd: int
    stdout_fd: int
    worker_stdout_fd: int
    stderr_fd: int
    worker_stderr_fd: int


def open_ends(ours: ExitStack, theirs: ExitStack) -> WorkerEnds:
    """Open them all; each stack closes what it has been given.

    Raises:
        OSError: no descriptors or no memory are left.
    """
    lifecycle, worker_lifecycle = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.enter_context(lifecycle)
    theirs.enter_context(worker_lifecycle)
    dispatcher_end, worker_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.enter_context(dispatcher_end)
    ours.enter_context(worker_end)
    lifecycle.setblocking(False)
    dispatcher_end.setblocking(False)
    page_fd = create_worker_page()
    ours.callback(os.close, page_fd)
    stdout_fd, worker_stdout_fd = _open_pipe(ours, theirs)
    stderr_fd, worker_stderr_fd = _open_pipe(ours, theirs)
    return WorkerEnds(
        lifecycle=lifecycle,
        worker_lifecycle=worker_lifecycle,
        dispatcher_end=dispatcher_end,
        worker_end=worker_end,
        page_fd=page_fd,
        stdout_fd=stdout_fd,
        worker_stdout_fd=worker_stdout_fd,
        stderr_fd=stderr_fd,
        worker_stderr_fd=worker_stderr_fd,
    )


def _open_pipe(ours: ExitStack, theirs: ExitStack) -> tuple[int, int]:
    read_fd, write_fd = os.pipe()
    ours.callback(os.close, read_fd)
    theirs.callback(os.close, write_fd)
    return read_fd, write_fd


@dataclass
class Incarnation:
    """One process of a worker. Owns all descriptors in it until `close`; `output` owns the pipes.

    Attributes:
        number: unique among all incarnations of the app, increasing.
        slot: its place in the dispatcher's table.
        process: pid and pidfd.
        lifecycle: our end of the lifecycle channel.
        dispatcher_end: where connections are put in.
        worker_end: a duplicate of where the worker takes them out.
        page_fd, page: its status page.
        output: reads its stdout and stderr.
        watch: what was seen of its heartbeat.
        started_at: monotonic seconds.
        serving: its report, once it is there.
        is_reaped: its pid belongs to nobody any more, or to a stranger.
    """

    number: int
    slot: int
    process: SpawnedProcess
    lifecycle: WorkerChannel
    dispatcher_end: socket.socket
    worker_end: socket.socket
    page_fd: int
    page: WorkerPageView
    output: AttachedOutput
    watch: WorkerWatch
    started_at: float
    serving: Serving | None = None
    is_reaped: bool = False

    @property
    def dispatcher_fds(self) -> tuple[int, int, int, int]:
        """Borrowed, in the order of ADD_WORKER."""
        return self.dispatcher_end.fileno(), self.worker_end.fileno(), self.process.pidfd, self.page_fd

    def send_signal(self, signal_name: str) -> None:
        """Signal the process alone."""
        if not self.is_reaped:
            send_signal(self.process.pidfd, signal_name)

    def kill_group(self) -> None:
        """SIGKILL the process and its group."""
        if not self.is_reaped:
            kill_group(self.process.pid, self.process.pidfd)

    def end_connections(self) -> None:
        """Tell the worker itself that no more connections come; for when no dispatcher does."""
        try:
            self.dispatcher_end.shutdown(socket.SHUT_WR)
        except OSError:
            return  # its other end is closed: it knows

    def close(self) -> None:
        """Close what we hold; the process must have been reaped."""
        self.lifecycle.close()
        self.dispatcher_end.close()
        self.worker_end.close()
        os.close(self.page_fd)
        os.close(self.process.pidfd)
