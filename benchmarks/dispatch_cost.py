"""Owns the measurement of CPU per connection of a process that accepts and hands over.

Two contenders get the same clients and the same workers: our dispatcher, and plain_loop.c. Only the CPU of the
contender's own process counts (/proc/PID/schedstat, ns), so the load generator's share does not blur it.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Protocol

from fastlb.lb.command import Policy, WorkerBounds

from tests.support.channel_worker import ChannelWorker
from tests.support.dispatcher_process import DispatcherProcess

WORKERS = 2
CONNECTIONS_PER_MESSAGE = 16
DEEP = WorkerBounds(credit=128, capacity=0, max_connections=0)
# Never: on a busy machine these workers take late, and the plain loop takes nothing back that it would send again.
HANDOVER_TIMEOUT_NS = 3600 * 10**9
PLAIN_LOOP = Path(__file__).with_name("plain_loop.c")


class Contender(Protocol):
    """A process that accepts from a listener and hands over to workers."""

    workers: list[ChannelWorker]
    address: tuple[str, int]
    pid: int

    def __enter__(self) -> Contender: ...
    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class OurLoop:
    """The dispatcher, with the defaults of an app but for the credit and the hand-over timeout.

    Args:
        per_message: how many connections the workers want in a message.
    """

    def __init__(self, per_message: int = CONNECTIONS_PER_MESSAGE) -> None:
        self._per_message = per_message

    def __enter__(self) -> OurLoop:
        self.dispatcher = DispatcherProcess(Policy.ROUND_ROBIN, HANDOVER_TIMEOUT_NS)
        self.address = self.dispatcher.listen().getsockname()
        self.workers = self.dispatcher.start_workers(WORKERS, DEEP)
        for worker in self.workers:
            worker.status.want_per_message(self._per_message)
        self.pid = self.dispatcher.process.pid
        return self

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.dispatcher.close()


class PlainLoop:
    """plain_loop.c, compiled on the fly, with as many in a message. Raises FileNotFoundError without a C compiler."""

    def __init__(self, per_message: int = CONNECTIONS_PER_MESSAGE) -> None:
        self._per_message = per_message

    def __enter__(self) -> PlainLoop:
        self.folder = tempfile.TemporaryDirectory()
        program = str(Path(self.folder.name, "plain_loop"))
        compiler = shutil.which("cc") or "gcc"
        subprocess.run([compiler, "-O2", "-o", program, PLAIN_LOOP], check=True)
        self.workers = [ChannelWorker(slot, 1) for slot in range(WORKERS)]
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.listener.setblocking(False)
        self.address = self.listener.getsockname()
        fds = [self.listener.fileno(), *(worker.dispatcher_end.fileno() for worker in self.workers)]
        self.process = subprocess.Popen([program, str(self._per_message), *map(str, fds)], pass_fds=fds)
        self.pid = self.process.pid
        return self

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for worker in self.workers:
            worker.close()
        self.listener.close()
        self.folder.cleanup()


def cpu_ns(pid: int) -> int:
    """CPU time of a process's main thread so far, in ns (proc(5): schedstat)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def drive(contender: Contender, connections: int, at_once: int) -> None:
    """Connect clients, `at_once` before the workers take and close what came; until there were `connections`."""
    for _ in range(connections // at_once):
        clients = [socket.create_connection(contender.address) for _ in range(at_once)]
        arrived = 0
        while arrived < at_once:
            for worker in contender.workers:
                arrived += len(worker.take_all())
                worker.finish_all()
        for client in clients:
            client.close()


def cpu_per_connection_us(contender: Contender, connections: int, at_once: int) -> float:
    """CPU of the contender for one connection, in microseconds, after a warm-up."""
    drive(contender, connections // 10, at_once)
    before = cpu_ns(contender.pid)
    drive(contender, connections, at_once)
    return (cpu_ns(contender.pid) - before) / connections / 1000
