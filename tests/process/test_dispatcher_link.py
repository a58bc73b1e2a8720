"""The supervisor's end of a control channel: nothing is lost, reordered or leaked when nobody reads for a while."""

import array
import asyncio
import os
import socket

import uvloop
from fastlb.lb.command import COMMAND_BYTES, DispatcherEvent, encode_ping, encode_quit
from fastlb.supervisor.dispatcher.link import DispatcherLink

from tests.support import processes
from tests.support.waiting import let_run_until

uvloop.new_event_loop().close()  # libuv keeps a pipe from the first loop on

MANY = 2000


def open_link(events: list[DispatcherEvent]) -> tuple[DispatcherLink, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    return DispatcherLink(asyncio.get_running_loop(), ours, events.append), theirs


def receive(theirs: socket.socket) -> tuple[bytes, list[int]]:
    """One command and its descriptors; empty when there is none now."""
    try:
        data, ancillary, _, _ = theirs.recvmsg(COMMAND_BYTES, socket.CMSG_LEN(16))
    except BlockingIOError:
        return b"", []
    fds = array.array("i")
    for _, _, content in ancillary:
        fds.frombytes(content)
    return data, list(fds)


def test_commands_wait_for_a_reader_and_arrive_in_order_with_their_descriptors() -> None:
    async def scenario() -> None:
        link, theirs = open_link([])
        for token in range(MANY):
            lent = os.open("/dev/null", os.O_RDONLY)
            link.send(encode_ping(token), (lent,))
            os.close(lent)
        received: list[bytes] = []

        def read_all() -> bool:
            while (command := receive(theirs))[0]:
                received.append(command[0])
                assert len(command[1]) == 1
                os.close(command[1][0])
            return len(received) == MANY

        await let_run_until(read_all, "all commands have arrived")
        assert received == [encode_ping(token) for token in range(MANY)]
        link.close()
        theirs.close()

    uvloop.run(scenario())


def test_close_forgets_what_waits_and_leaks_nothing() -> None:
    async def scenario() -> None:
        before = processes.fd_count(os.getpid())
        link, theirs = open_link([])
        with open("/dev/null") as lent:
            for _ in range(MANY):
                link.send(encode_ping(), (lent.fileno(),))
        link.close()
        link.close()
        theirs.close()
        assert processes.fd_count(os.getpid()) == before

    uvloop.run(scenario())


def test_peer_that_is_gone_or_talks_nonsense_is_no_error() -> None:
    async def scenario() -> None:
        events: list[DispatcherEvent] = []
        link, theirs = open_link(events)
        for message in (b"x", b"\0" * 64, b"y" * 1000):
            theirs.send(message)
        theirs.close()
        link.take_last_words()  # reads to the end now; the loop may need several turns
        assert not link.is_understood
        assert events == []
        link.send(encode_quit())
        link.close()

    uvloop.run(scenario())
