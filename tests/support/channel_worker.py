"""Owns ChannelWorker: a worker as the dispatcher sees it, played by the test.

Channel, status page and pidfd are real; the process behind the pidfd is a child that only waits. The test
decides when this worker takes its connections, so every state that the dispatcher must cope with can be made.
"""

import os
import socket
import struct
import subprocess
from dataclasses import dataclass

from fastlb.lb.command import WorkerBounds
from fastlb.lb.page import WorkerPageView, WorkerStatus, create_worker_page

from tests.support.waiting import wait_until

HEADER = struct.Struct("=IIQ")
RECORD = struct.Struct("=qIIHHI16s")
MAGIC = 0x31434C46
MOST_CONNECTIONS = 16
UNBOUNDED = WorkerBounds(credit=16, capacity=0, max_connections=0)


@dataclass(frozen=True)
class TakenConnection:
    """A connection that a worker took, with its record (lb/connection.pxd)."""

    fd: int
    accepted_at_ns: int
    listener_id: int
    family: int
    port: int
    hops: int
    address: bytes


@dataclass(frozen=True)
class TakenMessage:
    """One message of a connection channel."""

    position: int
    connections: list[TakenConnection]


def encode_message(position: int, count: int, hops: int = 0) -> bytes:
    """A connection message as a dispatcher would send it, with `count` records of an IPv4 client."""
    record = RECORD.pack(1, 0, 0, socket.AF_INET, 4711, hops, socket.inet_aton("127.0.0.1") + bytes(12))
    return HEADER.pack(MAGIC, count, position) + record * count


def decode_message(data: bytes, fds: list[int]) -> TakenMessage:
    """Check and decode what a worker received; an assertion fails when it is not a whole message of ours."""
    magic, count, position = HEADER.unpack_from(data)
    assert magic == MAGIC
    assert 1 <= count <= MOST_CONNECTIONS
    assert len(fds) == count
    assert len(data) == HEADER.size + count * RECORD.size
    connections = []
    for fd, record in zip(fds, RECORD.iter_unpack(data[HEADER.size :]), strict=True):
        accepted_at_ns, listener_id, _scope_id, family, port, hops, address = record
        connections.append(TakenConnection(fd, accepted_at_ns, listener_id, family, port, hops, address))
    return TakenMessage(position, connections)


class ChannelWorker:
    """One worker incarnation. `close()` gives everything back.

    Args:
        slot: its place in the dispatcher's table.
        incarnation: token that tells it from others in the same slot.
        bounds: credit, capacity, max_connections.
        hash_key: identity for ip-hash; None: the slot.
    """

    def __init__(
        self,
        slot: int,
        incarnation: int,
        bounds: WorkerBounds = UNBOUNDED,
        hash_key: int | None = None,
    ) -> None:
        self.slot = slot
        self.incarnation = incarnation
        self.bounds = bounds
        self.hash_key = slot if hash_key is None else hash_key
        self.dispatcher_end, self.channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.setblocking(False)
        self.page_fd = create_worker_page()
        self.wakeup_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.status = WorkerStatus(self.page_fd, self.wakeup_fd)
        self.page = WorkerPageView(self.page_fd)
        self.process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.pidfd = os.pidfd_open(self.process.pid)
        self.taken: list[TakenConnection] = []

    @property
    def fds(self) -> list[int]:
        """What ADD_WORKER carries, in its order."""
        return [self.dispatcher_end.fileno(), self.channel.fileno(), self.pidfd, self.page_fd, self.wakeup_fd]

    def receive(self) -> TakenMessage | None:
        """Receive one message without saying so in the page: as a worker that is stopped between the two."""
        try:
            data, fds, flags, _ = socket.recv_fds(self.channel, 4096, 253)
        except BlockingIOError:
            return None
        if not data:
            return None  # end of the channel: drained
        assert not flags & socket.MSG_CTRUNC
        message = decode_message(data, fds)
        self.taken += message.connections
        return message

    def say_taken(self, message: TakenMessage) -> None:
        """Publish that a message was taken: position, taken and busy go up."""
        self.status.record_taken(message.position, len(message.connections))

    def take(self) -> TakenMessage | None:
        """Take one message, as a worker does; None when there is none."""
        message = self.receive()
        if message is not None:
            self.say_taken(message)
        return message

    def take_all(self) -> list[TakenConnection]:
        """Take what waits; return the connections."""
        connections: list[TakenConnection] = []
        while (message := self.take()) is not None:
            connections += message.connections
        return connections

    def take_until(self, count: int) -> None:
        """Take connections until it has `count` that are not finished."""

        def enough() -> bool:
            self.take_all()
            return len(self.taken) >= count

        wait_until(enough, f"{count} connections for worker {self.slot}")
        assert len(self.taken) == count

    def finish(self, connection: TakenConnection, reply: bytes = b"") -> None:
        """Answer and close a taken connection: it is neither busy nor open any more."""
        if reply:
            os.write(connection.fd, reply)
        os.close(connection.fd)
        self.taken.remove(connection)
        self.status.record_closed()
        self.status.record_busy(-1)

    def finish_all(self, reply: bytes = b"") -> None:
        """Finish every taken connection."""
        for connection in list(self.taken):
            self.finish(connection, reply)

    def at_end(self) -> bool:
        """Whether the next thing to read is the end of the channel (drain)."""
        try:
            return self.channel.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False

    def kill(self) -> None:
        """SIGKILL the process behind the pidfd, and reap it."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End the process and close all descriptors that are still ours."""
        for connection in self.taken:
            os.close(connection.fd)
        self.taken.clear()
        self.kill()
        if self.process.stdin is not None:
            self.process.stdin.close()
        os.close(self.pidfd)
        os.close(self.page_fd)
        os.close(self.wakeup_fd)
        self.dispatcher_end.close()
        self.channel.close()
