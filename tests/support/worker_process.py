"""Plays supervisor and dispatcher for one real worker process, so that worker tests need neither of them.

Runs in the test process. Everything is real: the process, the socketpairs, the status page, accepted
connections. The message layout is written down here a second time on purpose: a change of the compiled one
must break these tests.
"""

import array
import contextlib
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
from fastlb.lb.page import WorkerPageView, create_worker_page
from fastlb.worker.wire import ListenerInfo, Serving, StartupFailed, WorkerReport

from tests.support.waiting import scaled, wait_until
from tests.support.worker_config import worker_config

if TYPE_CHECKING:
    from fastlb.lb.page import WorkerCounters

HEADER = struct.Struct("<IIQ")  # magic, count, position
RECORD = struct.Struct("<qIIHHI16s")  # accepted_at_ns, listener_id, scope_id, family, port, hops, address
MAGIC = 0x31434C46
LARGEST_MESSAGE = 16


class Peer(msgspec.Struct, frozen=True):
    """What a message says about one connection."""

    family: int
    address: bytes = b""
    port: int = 0
    listener_id: int = 0
    scope_id: int = 0


def encode_connections(position: int, peers: list[Peer]) -> bytes:
    """Return the bytes of a connection message, as the dispatcher writes it."""
    records = [
        RECORD.pack(0, peer.listener_id, peer.scope_id, peer.family, peer.port, 0, peer.address)
        for peer in peers
    ]
    return HEADER.pack(MAGIC, len(peers), position) + b"".join(records)


def peer_of(connection: socket.socket, address: Any, listener_id: int) -> Peer:
    """Return what the dispatcher would say about an accepted connection."""
    if connection.family == socket.AF_UNIX:
        return Peer(socket.AF_UNIX, listener_id=listener_id)
    packed = socket.inet_pton(connection.family, address[0].partition("%")[0])
    scope_id = address[3] if connection.family == socket.AF_INET6 else 0
    return Peer(connection.family, packed, address[1], listener_id, scope_id)


class Listener:
    """A listening socket, set up as the supervisor sets it up."""

    def __init__(self, family: int = socket.AF_INET, address: Any = None, listener_id: int = 0) -> None:
        self.listener_id = listener_id
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.bind(address or ("127.0.0.1", 0))
        self.socket.listen(512)
        self.address = self.socket.getsockname()

    @property
    def info(self) -> ListenerInfo:
        """What a worker is told about it."""
        if self.socket.family == socket.AF_UNIX:
            return ListenerInfo(self.listener_id, "unix", self.address, 0)
        family = "inet6" if self.socket.family == socket.AF_INET6 else "inet"
        return ListenerInfo(self.listener_id, cast(Any, family), self.address[0], self.address[1])

    def connect(self) -> socket.socket:
        """Return a new client connection."""
        client = socket.socket(self.socket.family, socket.SOCK_STREAM)
        client.settimeout(scaled(10))
        client.connect(self.address)
        return client


class WorkerProcess:
    """One `python -m fastlb.worker`, with this process as supervisor and dispatcher. Use `started_worker`."""

    def __init__(self, directory: Path, listeners: list[Listener], settings: dict[str, Any]) -> None:
        self.listeners = listeners
        self.position = 0
        self._lifecycle, lifecycle_fd = socket.socketpair()
        self._channel, channel_fd = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.page_fd = create_worker_page()
        self.page = WorkerPageView(self.page_fd)
        self.wakeup_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        lifeline_fd, self._lifeline_fd = os.pipe()
        own_fds = (channel_fd.fileno(), self.page_fd, self.wakeup_fd, lifeline_fd)
        fds = self.inherited_fds = (lifecycle_fd.fileno(), *own_fds)
        config = worker_config(
            **{
                "listeners": tuple(listener.info for listener in listeners),
                "app_dir": str(directory),
                "channel_fd": fds[1],
                "page_fd": fds[2],
                "wakeup_fd": fds[3],
                "lifeline_fd": fds[4],
                **settings,
            }
        )
        self.output = directory / "output.txt"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fastlb.worker", str(fds[0])],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )
        lifecycle_fd.close()
        channel_fd.close()
        os.close(lifeline_fd)
        self._lifecycle.settimeout(scaled(20))
        self._lines = self._lifecycle.makefile("rb")
        self._lifecycle.sendall(msgspec.json.encode(config) + b"\n")
        self._threads: list[threading.Thread] = []
        self._clients: list[socket.socket] = []

    def next_line(self) -> bytes:
        """Return the worker's next line on the lifecycle channel, b"" at its end."""
        return self._lines.readline()

    def report(self) -> WorkerReport:
        """Return the worker's next report."""
        line = self.next_line()
        assert line, f"the worker ended without a report: {self.read_output()}"
        return msgspec.json.decode(line, type=Serving | StartupFailed)

    def read_output(self) -> str:
        """Return what the worker has written so far."""
        return self.output.read_text()

    def counters(self) -> "WorkerCounters":
        """Return what the worker's status page says."""
        return self.page.read()

    def hand_over(self, connections: list[tuple[socket.socket, Peer]]) -> None:
        """Send connections in one message, and close our copies."""
        self.position += len(connections)
        message = encode_connections(self.position, [peer for _, peer in connections])
        self.send_message(message, [connection.fileno() for connection, _ in connections])
        for connection, _ in connections:
            connection.close()

    def send_message(self, message: bytes, fds: list[int]) -> None:
        """Send raw bytes and descriptors on the connection channel."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self._channel.sendmsg([message], rights)

    def accept(self, listener: Listener) -> tuple[socket.socket, Peer]:
        """Accept the next connection of `listener`."""
        connection, address = listener.socket.accept()
        return connection, peer_of(connection, address, listener.listener_id)

    def connect(self, listener_index: int = 0) -> socket.socket:
        """Return a client connection that was handed to the worker in its own message; close() ends it."""
        listener = self.listeners[listener_index]
        client = listener.connect()
        self._clients.append(client)
        self.hand_over([self.accept(listener)])
        return client

    def dispatch(self) -> None:
        """Accept and hand over in the background until the test ends."""
        for listener in self.listeners:
            thread = threading.Thread(target=self._dispatch, args=(listener,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _dispatch(self, listener: Listener) -> None:
        # Ends when close() shuts the listener down, or the worker's end of the channel is gone.
        with contextlib.suppress(OSError):
            while True:
                self.hand_over([self.accept(listener)])

    def drain(self) -> None:
        """End the connection channel, as the dispatcher does to drain a worker."""
        self._channel.shutdown(socket.SHUT_WR)

    def end_app(self) -> None:
        """Say that the whole app ends, then drain, as the supervisor does at a stop."""
        self._lifecycle.sendall(b'{"type":"app_ends"}\n')
        self.drain()

    def say(self, lines: bytes) -> None:
        """Write to the worker's lifecycle channel, as the supervisor does."""
        self._lifecycle.sendall(lines)

    def has_said(self) -> bytes:
        """Return what the worker has written on the lifecycle channel and nobody has read."""
        readable = select.select([self._lifecycle], [], [], 0)[0]
        return self._lifecycle.recv(65536, socket.MSG_PEEK) if readable else b""

    def disappear(self) -> None:
        """Close our ends of everything: supervisor and dispatcher are dead. May be called twice."""
        self._lines.close()
        if self._lifeline_fd >= 0:
            os.close(self._lifeline_fd)
            self._lifeline_fd = -1
        self._lifecycle.close()
        self._channel.close()

    def wait_exit(self, timeout: float = 10.0) -> int:
        """Return the exit code of the worker."""
        return self.process.wait(scaled(timeout))

    def wait_closed(self) -> None:
        """Wait until every connection is closed and nothing runs, and check that the counters agree."""
        wait_until(lambda: self.counters()["closed"] == self.position, "all connections are closed")
        counters = self.counters()
        assert (counters["taken"], counters["busy"], counters["lost"]) == (self.position, 0, 0)

    def close(self) -> None:
        """Kill the worker and free everything."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()
        for client in self._clients:
            client.close()
        for listener in self.listeners:
            with contextlib.suppress(OSError):
                listener.socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for listener in self.listeners:
            listener.socket.close()
        self.disappear()
        os.close(self.page_fd)
        os.close(self.wakeup_fd)


@contextlib.contextmanager
def started_worker(
    directory: Path, source: str, listeners: list[Listener] | None = None, **settings: Any
) -> Iterator[WorkerProcess]:
    """Run a worker on `source`, written to app.py in `directory`; the target is app:app by default."""
    (directory / "app.py").write_text(source)
    worker = WorkerProcess(directory, listeners or [Listener()], {"target": "app:app", **settings})
    try:
        yield worker
    finally:
        worker.close()


@contextlib.contextmanager
def serving_worker(
    directory: Path, source: str, listeners: list[Listener] | None = None, **settings: Any
) -> Iterator[WorkerProcess]:
    """As `started_worker`, once it serves."""
    with started_worker(directory, source, listeners, **settings) as worker:
        report = worker.report()
        assert isinstance(report, Serving), report
        yield worker
