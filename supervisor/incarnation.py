"""Owns everything that the supervisor holds of one worker process. Runs in the supervisor process.

Each descriptor has one owner, written beside it. Both ends of the connection channel are held as well as lent
to the dispatcher: so a dispatcher that dies takes no connection with it that a worker has not taken yet.
"""

import os
import socket
from dataclasses import dataclass, field

from ..lb.page import WorkerPageView
from ..worker.wire import Serving
from .process_output import AttachedOutput
from .reaper import kill_group, send_signal
from .spawn import SpawnedProcess
from .watch import WorkerWatch
from .worker_channel import WorkerChannel


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
    is_reaped: bool = field(default=False)

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
