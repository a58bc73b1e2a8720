"""What the supervisor has a Node worker told: as it is, in order, with at most one descriptor; the channel's room."""

import errno
import os
import socket
from collections.abc import Callable

import pytest
from fastlb.lb.command import (
    COMMAND_BYTES,
    MAX_LINE_BYTES,
    CommandName,
    EventName,
    NewWorker,
    encode_add_node_worker,
    encode_drain,
    encode_ping,
    encode_probe,
    encode_send,
    encode_serve,
)

from tests.support.dispatcher_process import DispatcherProcess
from tests.support.node_channel_worker import FILLING, HANDLE, RECEIVED, NodeChannelWorker, fill_channel, serve_until
from tests.support.waiting import wait_until

SHARED = HANDLE + b'"dgram.Native","msg":{"cmd":"NODE_CLUSTER","key":"%d"}}'
LINE = b'"text"\n'
MOST_WAITING_LINES = 64
# For a user without rights the descriptors in flight count against RLIMIT_NOFILE (unix(7)).
# The limit is that of a user: each test has one of its own, so that none counts what another has in flight.
# PR_SET_DUMPABLE (4): a process that changed its user may not read its own /proc otherwise.
BECOME_NOBODY = """
import ctypes, os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
os.setgroups([])
os.setgid(65534)
os.setuid(20000 + os.getpid() % 40000)
ctypes.CDLL(None).prctl(4, 1)
"""


def wait_rejected(dispatcher: DispatcherProcess, error: int) -> None:
    """The next rejection is of a SEND with this errno."""
    event = dispatcher.wait_event(EventName.REJECTED)
    assert (event.command, event.error) == (CommandName.SEND, error)


@pytest.mark.parametrize(
    "line", [b'"shutdown"', b"1", b'{"a":"\xc3\xa4"}', b"no JSON at all \0\xff", b"x" * (MAX_LINE_BYTES - 1)]
)
def test_line_is_written_as_it_is(line: bytes) -> None:
    with DispatcherProcess() as dispatcher:
        (worker,) = dispatcher.start_node_workers(1)
        dispatcher.send_line(worker, line)
        worker.wait_line(line)
        dispatcher.ping()
        assert not worker.texts()
        assert dispatcher.slot(worker)["unanswered"] == 0


def test_order_is_kept() -> None:
    with DispatcherProcess() as dispatcher:
        (worker,) = dispatcher.start_node_workers(1)
        lines = [b'"%d"' % number for number in range(300)]
        for line in lines:
            dispatcher.send_line(worker, line)
        wait_until(lambda: len(worker.texts()) == len(lines), "all lines")
        assert worker.texts() == lines


def test_shared_socket_goes_along_and_is_answered_for() -> None:
    with DispatcherProcess() as dispatcher:
        (worker,) = dispatcher.start_node_workers(1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as shared:
            shared.bind(("127.0.0.1", 0))
            dispatcher.send_line(worker, SHARED % 1, shared.fileno())
            line = worker.wait_line(SHARED % 1)
            with socket.socket(fileno=line.fd) as theirs:
                assert theirs.getsockname() == shared.getsockname()
        assert dispatcher.slot(worker)["unanswered"] == 1
        worker.say(RECEIVED)
        dispatcher.ping()
        assert dispatcher.slot(worker)["unanswered"] == 0


def test_several_shared_sockets_come_one_by_one() -> None:
    with DispatcherProcess() as dispatcher, open(os.devnull) as null:
        (worker,) = dispatcher.start_node_workers(1)
        for number in range(20):
            dispatcher.send_line(worker, SHARED % number, null.fileno())
        dispatcher.ping()
        assert worker.texts() == [SHARED % number for number in range(20)]
        assert len({line.fd for line in worker.lines}) == 20


def test_what_a_full_channel_does_not_take_waits_in_order() -> None:
    with DispatcherProcess() as dispatcher, open(os.devnull) as null:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        filled = fill_channel(worker)
        dispatcher.send_line(worker, b'"one"')
        dispatcher.send_line(worker, SHARED % 2, null.fileno())
        dispatcher.send_line(worker, b'"three"')
        dispatcher.connect(count=2)
        wakeups = dispatcher.wait_quiet()
        dispatcher.assert_silent(0.1)
        assert dispatcher.counters()["wakeups"] == wakeups
        assert dispatcher.counters()["dispatched"] == 0
        worker.wait_taken(2)
        assert worker.texts() == [FILLING[:-1]] * filled + [b'"one"', SHARED % 2, b'"three"']


def test_connection_that_a_full_channel_does_not_take_goes_to_another() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        full, other = dispatcher.start_node_workers(2)
        fill_channel(full)
        clients = dispatcher.connect(count=6)
        serve_until([other], 6)
        assert all(client.recv(4) == b"x" for client in clients)
        failures = dispatcher.counters()["send_failures"]
        assert 1 <= failures <= 2
        full.read_all()
        dispatcher.ping()
        dispatcher.connect(count=2)
        serve_until([full, other], 2)
        assert full.announced


def test_connection_waits_for_room_in_the_only_channel() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        fill_channel(worker)
        (client,) = dispatcher.connect()
        wait_until(lambda: dispatcher.counters()["held"], "the connection is held")
        wakeups = dispatcher.wait_quiet()
        dispatcher.assert_silent(0.1)
        assert dispatcher.counters()["wakeups"] == wakeups
        serve_until([worker], 1)
        assert client.recv(4) == b"x"


def test_too_many_waiting_lines_are_rejected() -> None:
    with DispatcherProcess() as dispatcher, open(os.devnull) as null:
        (worker,) = dispatcher.start_node_workers(1)
        filled = fill_channel(worker)
        for number in range(MOST_WAITING_LINES + 1):
            dispatcher.send_line(worker, SHARED % number, null.fileno())
        wait_rejected(dispatcher, errno.ENOBUFS)
        worker.wait_line(SHARED % (MOST_WAITING_LINES - 1))
        assert len(worker.texts()) == filled + MOST_WAITING_LINES - 1


def test_too_many_waiting_bytes_are_rejected() -> None:
    with DispatcherProcess() as dispatcher:
        (worker,) = dispatcher.start_node_workers(1)
        fill_channel(worker)
        for letter in (b"a", b"b", b"c"):
            dispatcher.send_line(worker, letter * (MAX_LINE_BYTES - 1))
        wait_rejected(dispatcher, errno.ENOBUFS)
        worker.wait_line(b"b" * (MAX_LINE_BYTES - 1))


def test_what_still_waits_is_closed_with_the_worker() -> None:
    with DispatcherProcess() as dispatcher, open(os.devnull) as null:
        (worker,) = dispatcher.start_node_workers(1)
        fill_channel(worker)
        for number in range(10):
            dispatcher.send_line(worker, SHARED % number, null.fileno())
        dispatcher.remove(worker)


def test_more_shared_sockets_than_answers_can_be_remembered_for() -> None:
    """The worker reads and answers none; the dispatcher neither spins nor forgets whom an answer is about."""
    with DispatcherProcess() as dispatcher, open(os.devnull) as null:
        dispatcher.listen()
        (worker,) = dispatcher.start_node_workers(1)
        for number in range(260):
            dispatcher.send_line(worker, SHARED % number, null.fileno())
            worker.read_all()
        wakeups = dispatcher.wait_quiet()
        dispatcher.assert_silent(0.1)
        assert dispatcher.counters()["wakeups"] == wakeups
        dispatcher.connect()
        dispatcher.ping()
        worker.read_all()
        assert not worker.taken
        for _ in range(260):
            worker.say(RECEIVED)
        worker.wait_taken(1)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become a user whose limit counts")
def test_shared_sockets_wait_while_too_many_descriptors_are_in_flight() -> None:
    with DispatcherProcess(before_run=BECOME_NOBODY) as dispatcher, open(os.devnull) as null:
        (worker,) = dispatcher.start_node_workers(1)
        for number in range(55):
            dispatcher.send_line(worker, SHARED % number, null.fileno())
        dispatcher.ping()
        dispatcher.assert_silent(0.1)
        wait_until(lambda: len(worker.texts()) == 55, "all of them")
        assert worker.texts() == [SHARED % number for number in range(55)]
        dispatcher.send_line(worker, b'"still there"')
        worker.wait_line(b'"still there"')


MALFORMED = {
    "no newline": (b'"text"', 0, errno.EINVAL),
    "newline in front": (b'\n"text"', 0, errno.EINVAL),
    "empty": (b"", 0, errno.EINVAL),
    "only a newline": (b"\n", 0, errno.EINVAL),
    "two descriptors": (b'"text"\n', 2, errno.EINVAL),
    "many descriptors": (b'"text"\n', 250, errno.EINVAL),
    "descriptor without text": (b"", 1, errno.EINVAL),
    "too long": (b"x" * MAX_LINE_BYTES + b"\n", 1, errno.EINVAL),
    "much too long": (b"x" * 100_000 + b"\n", 1, errno.EINVAL),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_line_is_rejected_and_costs_no_descriptor(case: str) -> None:
    text, fd_count, error = MALFORMED[case]
    with DispatcherProcess() as dispatcher, open(os.devnull) as null:
        (worker,) = dispatcher.start_node_workers(1)
        command = encode_send(worker.slot, worker.incarnation, LINE)
        dispatcher.send(command.removesuffix(LINE) + text, [null.fileno()] * fd_count)
        wait_rejected(dispatcher, error)
        dispatcher.ping()
        assert not worker.texts()


def test_text_behind_any_other_command_is_rejected() -> None:
    with DispatcherProcess() as dispatcher:
        (worker,) = dispatcher.start_node_workers(1)
        who = (worker.slot, worker.incarnation)
        for command in (encode_probe(*who), encode_serve(*who, 0), encode_drain(*who), encode_ping(1)):
            dispatcher.send(command + b"text\n")
            assert dispatcher.wait_event(EventName.REJECTED).error == errno.EINVAL
        assert dispatcher.slot(worker)["unanswered"] == 0


COMMANDS: dict[CommandName, Callable[[int, int], bytes]] = {
    CommandName.SEND: lambda slot, incarnation: encode_send(slot, incarnation, LINE),
    CommandName.SERVE: lambda slot, incarnation: encode_serve(slot, incarnation, 0),
    CommandName.PROBE: encode_probe,
}


@pytest.mark.parametrize("name", COMMANDS)
def test_command_for_somebody_else_is_rejected(name: CommandName) -> None:
    with DispatcherProcess() as dispatcher, open(os.devnull) as null:
        (node,) = dispatcher.start_node_workers(1)
        python = dispatcher.new_worker(1)
        fds = [null.fileno()] if name is CommandName.SEND else []
        for slot, incarnation, error in (
            (node.slot, node.incarnation + 1, errno.ESTALE),
            (python.slot, python.incarnation, errno.EINVAL),
            (7, 1, errno.ESTALE),
            (1024, 1, errno.EINVAL),
            (2**32 - 1, 1, errno.EINVAL),
        ):
            dispatcher.send(COMMANDS[name](slot, incarnation), fds)
            assert dispatcher.wait_event(EventName.REJECTED).error == error
        dispatcher.ping()
        assert not node.texts()


def test_encoder_takes_one_line_only() -> None:
    for line in (b"", b"\n", b"no newline", b"two\nlines\n", b"x" * MAX_LINE_BYTES + b"\n"):
        with pytest.raises(ValueError, match="not one line"):
            encode_send(0, 1, line)
    assert len(encode_send(0, 1, b"x" * (MAX_LINE_BYTES - 1) + b"\n")) == COMMAND_BYTES + MAX_LINE_BYTES


@pytest.mark.parametrize("wrong", range(3))
def test_node_worker_with_a_wrong_descriptor_is_rejected(wrong: int) -> None:
    with DispatcherProcess() as dispatcher, open(os.devnull) as null:
        worker = NodeChannelWorker(0, 1)
        fds = worker.fds
        fds[wrong] = null.fileno()
        if wrong == 1:  # a number of descriptors is asked of it, which any file can answer: too few of them, then
            fds.pop()
        dispatcher.send(encode_add_node_worker(NewWorker(0, 1, worker.bounds, 0), 1), fds)
        assert dispatcher.wait_event(EventName.REJECTED).command == CommandName.ADD_NODE_WORKER
        worker.close()


def test_channel_of_the_wrong_kind_is_rejected() -> None:
    with DispatcherProcess() as dispatcher:
        node, python = NodeChannelWorker(0, 1), dispatcher.new_worker(5)
        dispatcher.send(
            encode_add_node_worker(NewWorker(0, 1, node.bounds, 0), 1), [python.dispatcher_end.fileno(), *node.fds[1:]]
        )
        assert dispatcher.wait_event(EventName.REJECTED).error == errno.EINVAL
        node.close()
