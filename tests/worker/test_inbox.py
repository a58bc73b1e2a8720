"""The worker's end of a connection channel: what it takes, what it refuses, what it counts."""

import array
import os
import random
import resource
import socket
import sys
from collections.abc import Iterator

import pytest
from fastlb.lb.inbox import ConnectionInbox, HandedSocket
from fastlb.lb.page import WorkerPageView, WorkerStatus, create_worker_page

from tests.support.worker_process import HEADER, LARGEST_MESSAGE, MAGIC, RECORD, Peer, encode_connections

STARVED_OFFSET = 192  # in a worker's page: its fourth line (lb/page.pxd)
LOCALHOST = Peer(socket.AF_INET, socket.inet_aton("127.0.0.1"), 4242, listener_id=7)


class Channel:
    """A channel whose two ends are in this process."""

    def __init__(self) -> None:
        self.dispatcher, self.worker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.page_fd = create_worker_page()
        self.wakeup_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.page = WorkerPageView(self.page_fd)
        self.inbox = ConnectionInbox(self.worker.fileno(), WorkerStatus(self.page_fd, self.wakeup_fd))

    def send(self, message: bytes, fds: list[int]) -> None:
        """Send `message` with duplicates of `fds`."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.dispatcher.sendmsg([message], rights)

    def close(self) -> None:
        """Close everything."""
        self.dispatcher.close()
        self.worker.close()
        os.close(self.page_fd)
        os.close(self.wakeup_fd)


@pytest.fixture
def channel() -> Iterator[Channel]:
    """A channel with an empty page."""
    made = Channel()
    yield made
    made.close()


@pytest.fixture
def pipe_fd() -> Iterator[int]:
    """A descriptor to send: what it is does not matter to the inbox."""
    read_fd, write_fd = os.pipe()
    yield read_fd
    os.close(read_fd)
    os.close(write_fd)


def open_fds() -> int:
    """Return how many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


def abandon(taken: list[HandedSocket]) -> None:
    """Close connections that no loop will."""
    for handed in taken:
        handed.abandon()


def test_taken_connections_are_counted_before_they_are_returned(channel: Channel, pipe_fd: int) -> None:
    channel.send(encode_connections(5 << 40 | 3, [LOCALHOST] * 3), [pipe_fd] * 3)
    taken = channel.inbox.receive()
    counters = channel.page.read()
    assert (counters["taken"], counters["busy"], counters["position"]) == (3, 3, 5 << 40 | 3)
    assert [handed.peer_address() for handed in taken] == [("127.0.0.1", 4242)] * 3
    assert {handed.listener_id for handed in taken} == {7}
    assert not any(os.get_inheritable(handed.fileno()) for handed in taken)
    abandon(taken)
    counters = channel.page.read()
    assert (counters["closed"], counters["busy"], counters["lost"]) == (3, 0, 0)


def test_figures_add_up_over_messages(channel: Channel, pipe_fd: int) -> None:
    taken = []
    for position, count in ((2, 2), (5, 3)):
        channel.send(encode_connections(position, [LOCALHOST] * count), [pipe_fd] * count)
        taken += channel.inbox.receive()
    counters = channel.page.read()
    assert (counters["taken"], counters["busy"], counters["position"]) == (5, 5, 5)
    abandon(taken)


def test_starved_dispatcher_is_woken_once_for_all_that_was_taken(channel: Channel, pipe_fd: int) -> None:
    os.pwrite(channel.page_fd, (1).to_bytes(4, sys.byteorder), STARVED_OFFSET)
    assert channel.page.read()["starved"]
    assert channel.inbox.receive() == []
    with pytest.raises(BlockingIOError):
        os.eventfd_read(channel.wakeup_fd)
    for position in (1, 2):
        channel.send(encode_connections(position, [LOCALHOST]), [pipe_fd])
    taken = channel.inbox.receive(most=2)
    assert len(taken) == 2
    assert os.eventfd_read(channel.wakeup_fd) == 1
    abandon(taken)


def test_empty_and_ended_channels_are_told_apart(channel: Channel) -> None:
    assert channel.inbox.receive() == []
    assert not channel.inbox.ended
    channel.dispatcher.close()
    assert channel.inbox.receive() == []
    assert channel.inbox.ended


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (Peer(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, "2001:db8::1"), 1), ("2001:db8::1", 1)),
        (
            Peer(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, "fe80::1"), 2, scope_id=1),
            ("fe80::1%lo", 2),
        ),
        (
            Peer(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, "::ffff:1.2.3.4"), 3),
            ("1.2.3.4", 3),
        ),
        (Peer(socket.AF_UNIX), None),
    ],
)
def test_peer_address_is_what_the_message_says(
    channel: Channel, pipe_fd: int, peer: Peer, address: tuple[str, int] | None
) -> None:
    channel.send(encode_connections(1, [peer]), [pipe_fd])
    taken = channel.inbox.receive()
    assert [handed.peer_address() for handed in taken] == [address]
    abandon(taken)


def test_closing_counts_once_and_leaves_the_descriptor_to_its_owner(channel: Channel, pipe_fd: int) -> None:
    channel.send(encode_connections(1, [LOCALHOST]), [pipe_fd])
    (handed,) = channel.inbox.receive()
    fd = handed.fileno()
    handed.close()
    handed.close()
    assert channel.page.read()["closed"] == 1
    os.close(fd)  # raises if close() had closed it


def test_busy_is_released_and_taken_again(channel: Channel, pipe_fd: int) -> None:
    channel.send(encode_connections(1, [LOCALHOST]), [pipe_fd])
    (handed,) = channel.inbox.receive()
    seen = []
    for change in (handed.release, handed.release, handed.occupy, handed.occupy, handed.release):
        change()
        seen.append(channel.page.read()["busy"])
    assert seen == [0, 0, 1, 1, 0]
    handed.abandon()


@pytest.mark.parametrize(
    ("message", "fd_count"),
    [
        (b"x", 1),
        (HEADER.pack(MAGIC, 1, 1), 1),
        (HEADER.pack(MAGIC + 1, 1, 1) + bytes(RECORD.size), 1),
        (HEADER.pack(MAGIC, 0, 1), 2),
        (
            HEADER.pack(MAGIC, LARGEST_MESSAGE + 1, 1) + bytes(RECORD.size * LARGEST_MESSAGE),
            LARGEST_MESSAGE + 1,
        ),
        (encode_connections(1, [LOCALHOST] * 2), 1),
        (encode_connections(1, [LOCALHOST] * 2), 3),
        (encode_connections(1, [LOCALHOST]), 0),
        (encode_connections(1, [LOCALHOST] * LARGEST_MESSAGE) + bytes(4096), LARGEST_MESSAGE),
        (b"", 253),
    ],
)
def test_malformed_message_costs_only_itself(
    channel: Channel, pipe_fd: int, message: bytes, fd_count: int
) -> None:
    before = open_fds()
    channel.send(message or b"x", [pipe_fd] * fd_count)
    channel.send(encode_connections(9, [LOCALHOST]), [pipe_fd])
    taken = channel.inbox.receive()
    assert len(taken) == 1
    assert channel.page.read()["lost"] == fd_count
    abandon(taken)
    assert open_fds() == before


def test_random_messages_leak_nothing(channel: Channel, pipe_fd: int) -> None:
    chance = random.Random(1)
    before = open_fds()
    for _ in range(3000):
        message = bytearray(encode_connections(1, [LOCALHOST] * chance.randint(1, LARGEST_MESSAGE)))
        for _ in range(chance.randint(0, 3)):
            message[chance.randrange(min(16, len(message)))] = chance.randrange(256)
        channel.send(bytes(message[: chance.randint(1, len(message))]), [pipe_fd] * chance.randint(0, 20))
        abandon(channel.inbox.receive())
    assert open_fds() == before
    counters = channel.page.read()
    assert counters["taken"] == counters["closed"]


def test_nothing_is_read_while_descriptors_are_short(channel: Channel, pipe_fd: int) -> None:
    room = []
    channel.inbox.on_room = lambda: room.append(True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    channel.send(encode_connections(1, [LOCALHOST] * 2), [pipe_fd] * 2)
    first, second = channel.inbox.receive()
    channel.send(encode_connections(2, [LOCALHOST]), [pipe_fd])
    try:
        # One descriptor more than may be in use for a message to be read.
        resource.setrlimit(resource.RLIMIT_NOFILE, ((open_fds() - 1) * 4 // 3, hard))
        assert channel.inbox.receive() == []
        assert channel.inbox.pressed
        assert channel.page.read()["pressure"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    first.abandon()
    assert room == [True]
    assert not channel.page.read()["pressure"]
    abandon([second, *channel.inbox.receive()])


def test_local_address_is_asked_of_the_kernel(channel: Channel) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            channel.send(encode_connections(1, [LOCALHOST]), [accepted.fileno()])
        (handed,) = channel.inbox.receive()
        assert handed.local_address() == server.getsockname()
        client.sendall(b"x")
        assert handed.has_unread()
        handed.abandon()
        assert not handed.has_unread()
