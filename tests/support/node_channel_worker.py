"""Owns NodeChannelWorker: a Node worker as the dispatcher sees it, played by the test.

Its IPC channel and pidfd are real; the process behind the pidfd is a child that only waits. The test reads what
Node would read, one recvmsg at a time as libuv does, and says what Node would say, or what it never would.
"""

import contextlib
import json
import os
import re
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastlb.lb.command import EVERY_LISTENER, ChannelHistory, WorkerBounds

from tests.support.waiting import wait_until

NODE_BOUNDS = WorkerBounds(credit=2, capacity=0, max_connections=0)
READ_BYTES = 65536
ANNOUNCEMENT = re.compile(
    rb'\{"cmd":"NODE_HANDLE","type":"net\.Native","msg":'
    rb'\{"cmd":"NODE_CLUSTER","act":"newconn","key":"(\d+)","seq":(\d+)\}\}'
)
HANDLE = b'{"cmd":"NODE_HANDLE","type":'
RECEIVED = b'{"cmd":"NODE_HANDLE_ACK"}'
MISSED = b'{"cmd":"NODE_HANDLE_NACK"}'
PROBE = b'{"cmd":"NODE_HANDLE"}'
DISCONNECT = b'{"cmd":"NODE_CLUSTER","act":"disconnect"}'
FILLING = b"x" * 499 + b"\n"
# Opens or closes as many descriptors as each line says, and then repeats the line.
DESCRIPTOR_KEEPER = """
import os, sys
kept = []
for line in sys.stdin:
    for _ in range(int(line)):
        kept.append(os.open(os.devnull, os.O_RDONLY))
    for _ in range(-int(line)):
        os.close(kept.pop())
    print(line, end="", flush=True)
"""


@dataclass(frozen=True)
class AnnouncedConnection:
    """A connection as it was announced: for which server, under which number, and its descriptor."""

    key: int
    seq: int
    fd: int


@dataclass(frozen=True)
class ReceivedLine:
    """Any other line, and the descriptor that came with it (-1: none)."""

    text: bytes
    fd: int = -1


class NodeChannelWorker:
    """One Node worker incarnation. `close()` gives everything back.

    Args:
        slot: its place in the dispatcher's table, and its identity for ip-hash.
        incarnation: token that tells it from others in the same slot.
        bounds: credit, capacity, max_connections.
        listeners: mask of those whose connections it may get.
        history: what predecessors of the dispatcher left behind.
    """

    def __init__(
        self,
        slot: int,
        incarnation: int,
        bounds: WorkerBounds = NODE_BOUNDS,
        listeners: int = EVERY_LISTENER,
        history: ChannelHistory | None = None,
    ) -> None:
        self.slot = slot
        self.hash_key = slot
        self.incarnation = incarnation
        self.bounds = bounds
        self.listeners = listeners
        self.history = history or ChannelHistory()
        self.dispatcher_end, self.channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.dispatcher_end.setblocking(False)
        self.process = subprocess.Popen(self.program(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pidfd = os.pidfd_open(self.process.pid)
        self.descriptors_fd = self.open_descriptors_folder()
        self.taken: list[AnnouncedConnection] = []
        self.lines: list[ReceivedLine] = []
        self.announced: set[int] = set()
        self.accepted: set[int] = set()
        self._rest = b""
        self._fds: list[int] = []
        self._said = 0

    def program(self) -> list[str]:
        """The process behind the pidfd."""
        return ["cat"]

    def open_descriptors_folder(self) -> int:
        """The folder whose size is the number of its descriptors."""
        return os.open(f"/proc/{self.process.pid}/fd", os.O_PATH | os.O_DIRECTORY)

    @property
    def fds(self) -> list[int]:
        """What ADD_WORKER carries, in its order."""
        return [self.dispatcher_end.fileno(), self.descriptors_fd, self.pidfd]

    # -- what it reads -----------------------------------------------------------------------------------------

    def read_once(self) -> bool:
        """One recvmsg, as libuv does it: at most one descriptor in it. False: there is nothing to read now."""
        if not select.select([self.channel], [], [], 0)[0]:
            return False
        data, fds, flags, _ = socket.recv_fds(self.channel, READ_BYTES, 8)
        if not data:
            return False
        assert not flags & socket.MSG_CTRUNC
        # a plain line may be joined with a handle's line behind it, never two descriptors
        assert data.count(HANDLE) == len(fds) <= 1, f"{len(fds)} descriptors with {data!r}"
        self._fds += fds
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            assert line, f"an empty line in {data!r}"
            self._keep(line, self._fds.pop() if line.startswith(HANDLE) else -1)
        return True

    def _keep(self, line: bytes, fd: int) -> None:
        announced = ANNOUNCEMENT.fullmatch(line)
        if announced is None:
            self.lines.append(ReceivedLine(line, fd))
            return
        assert not os.get_blocking(fd), "libuv leaves it as it is: a blocking one stops the whole event loop"
        connection = AnnouncedConnection(int(announced[1]), int(announced[2]), fd)
        assert connection.seq not in self.announced, "announced twice"
        self.announced.add(connection.seq)
        self.taken.append(connection)

    def read_all(self) -> None:
        """Read what is there."""
        while self.read_once():
            pass

    def wait_taken(self, count: int) -> list[AnnouncedConnection]:
        """Read until it has `count` connections that are not finished; return them."""
        self._read_until(lambda: len(self.taken) >= count, f"{count} connections for worker {self.slot}")
        assert len(self.taken) == count
        return list(self.taken)

    def wait_line(self, text: bytes) -> ReceivedLine:
        """Read until this line is there; it is taken off `lines`."""

        def found() -> bool:
            return any(line.text == text for line in self.lines)

        self._read_until(found, f"{text!r} for worker {self.slot}")
        line = next(line for line in self.lines if line.text == text)
        self.lines.remove(line)
        return line

    def _read_until(self, condition: Callable[[], bool], what: str) -> None:
        def reached() -> bool:
            self.read_all()
            return condition()

        wait_until(reached, what)

    def texts(self) -> list[bytes]:
        """Read what is there; return the lines that are no connections and not taken off."""
        self.read_all()
        return [line.text for line in self.lines]

    # -- what it says ------------------------------------------------------------------------------------------

    def say_raw(self, data: bytes) -> None:
        """Write any bytes; waits until the dispatcher has made room for them."""
        self.channel.sendall(data)

    def say(self, *lines: bytes) -> None:
        """Write lines, in one write."""
        self.say_raw(b"".join(line + b"\n" for line in lines))

    def verdict(self, seq: int, accepted: bool) -> bytes:
        """The line that tells the fate of a connection, as Node words it."""
        self._said += 1
        if accepted and seq in self.announced:
            self.accepted.add(seq)
        word = b"true" if accepted else b"false"
        return b'{"cmd":"NODE_CLUSTER","ack":%d,"accepted":%b,"seq":%d}' % (seq, word, self._said)

    def accept(self, *connections: AnnouncedConnection) -> None:
        """Say that these arrived and that the app has taken them."""
        for connection in connections:
            self.say(RECEIVED)
            self.say(self.verdict(connection.seq, accepted=True))

    def refuse(self, connection: AnnouncedConnection) -> None:
        """Say that it arrived and that no server takes it; its descriptor is closed."""
        self._drop(connection)
        self.say(RECEIVED)
        self.say(self.verdict(connection.seq, accepted=False))

    def miss(self, connection: AnnouncedConnection) -> None:
        """Say that the message came without a descriptor: there is no room for one."""
        self._drop(connection)
        self.say(MISSED)

    def _drop(self, connection: AnnouncedConnection) -> None:
        os.close(connection.fd)
        self.taken.remove(connection)

    def send_handle(self, fd: int, message: object = None) -> bytes:
        """Send a handle, as `process.send(message, socket)` does; return the line."""
        line = json.dumps({"cmd": "NODE_HANDLE", "type": "net.Socket", "msg": message}, separators=(",", ":"))
        socket.send_fds(self.channel, [line.encode() + b"\n"], [fd])
        return line.encode()

    def finish(self, connection: AnnouncedConnection, reply: bytes = b"") -> None:
        """Answer the client and close the connection; whether it was accepted is said elsewhere."""
        if reply:
            os.write(connection.fd, reply)
        self._drop(connection)

    def serve_all(self, reply: bytes = b"x") -> int:
        """Read, accept, answer and finish what is there; return how many."""
        self.read_all()
        served = list(self.taken)
        for connection in served:
            self.accept(connection)
            self.finish(connection, reply)
        return len(served)

    # -- its end -----------------------------------------------------------------------------------------------

    def at_end(self) -> bool:
        """Whether the dispatcher has let go of the channel; the supervisor's copy must be closed before."""
        self.read_all()
        return bool(select.select([self.channel], [], [], 0)[0])

    def close_channel(self) -> None:
        """Close the worker's end, as `process.disconnect()` and exit do."""
        self.channel.close()

    def kill(self) -> None:
        """SIGKILL the process behind the pidfd, and reap it; its end of the channel stays open: a child has it."""
        self.process.kill()
        self.process.wait()

    def die(self) -> None:
        """End as a process does: the pidfd fires, and nobody has its end of the channel any more."""
        self.kill()
        self.close_channel()

    def close(self) -> None:
        """End the process and close all descriptors that are still ours."""
        for fd in [connection.fd for connection in self.taken] + [line.fd for line in self.lines]:
            if fd >= 0:
                os.close(fd)
        self.taken.clear()
        self.lines.clear()
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        os.close(self.pidfd)
        os.close(self.descriptors_fd)
        self.dispatcher_end.close()
        self.channel.close()


class TakenBackNodeWorker(NodeChannelWorker):
    """A Node worker of whose channel the dispatcher has both ends, and so takes back what is not read of it."""

    def __init__(self, slot: int, bounds: WorkerBounds = NODE_BOUNDS) -> None:
        super().__init__(slot, 1000 + slot, bounds)
        self.duplicate = self.channel.dup()

    @property
    def fds(self) -> list[int]:
        """What ADD_WORKER carries, in its order, until `stop_taking_back`."""
        return super().fds + [fd for fd in [self.duplicate.fileno()] if fd >= 0]

    def stop_taking_back(self) -> None:
        """Close the supervisor's duplicate, as it does when the worker drains or has died."""
        self.duplicate.close()

    def close(self) -> None:
        """End the process and close all descriptors that are still ours."""
        self.duplicate.close()
        super().close()


class CountedNodeWorker(NodeChannelWorker):
    """A Node worker whose process opens and closes descriptors, as connections that come and go."""

    def program(self) -> list[str]:
        """A process that holds as many descriptors as it is told to."""
        return [sys.executable, "-S", "-E", "-c", DESCRIPTOR_KEEPER]

    def change_descriptors(self, change: int) -> None:
        """Have the process open (or close, below 0) descriptors, and wait until it has."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        command = b"%d\n" % change
        self.process.stdin.write(command)
        self.process.stdin.flush()
        assert self.process.stdout.readline() == command

    def baseline(self) -> int:
        """How many descriptors it has open now."""
        self.change_descriptors(0)
        return os.stat(self.descriptors_fd).st_size


class UncountedNodeWorker(NodeChannelWorker):
    """A Node worker on a kernel before 6.2, which does not tell how many descriptors a process has."""

    def open_descriptors_folder(self) -> int:
        """A folder of size 0."""
        return os.open("/proc", os.O_PATH | os.O_DIRECTORY)


def serve_until(workers: Sequence[NodeChannelWorker], count: int, reply: bytes = b"x") -> None:
    """Have the workers serve what they are given until they have served `count` together."""
    served = 0
    while served < count:
        served += wait_until(lambda: sum(worker.serve_all(reply) for worker in workers), f"one of {count - served}")
    assert served == count


def fill_channel(worker: NodeChannelWorker) -> int:
    """Make the worker's channel take no more; return how many lines lie in it."""
    sent = 0
    try:
        while True:
            assert worker.dispatcher_end.send(FILLING) == len(FILLING)
            sent += 1
    except BlockingIOError:
        return sent
