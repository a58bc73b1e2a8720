"""What a Node worker says that is not about connections: the supervisor gets it, whole, in order, within bounds."""

import errno
import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastlb.lb.command import EventName, encode_ping

from tests.support.dispatcher_process import DispatcherProcess
from tests.support.node_channel_worker import RECEIVED, NodeChannelWorker, serve_until
from tests.support.waiting import scaled, wait_until

PART = 32768
LONGEST = 1 << 20
MOST_A_SECOND = 1000
ODD_LINES = [
    b'"ready"',
    b"null",
    b"{}",
    b'{"type":"process:msg","data":{"a":[1,2,3]}}',
    b'{"cmd":"NODE_CLUSTER","act":"online","seq":0}',
    b'{"cmd":"NODE_CLUSTER","act":"listening","address":null,"port":3000,"addressType":4,"fd":null,"seq":2}',
    b'{"cmd":"NODE_CLUSTER","ack":7,"seq":2}',
    b"this is no JSON",
    b'  {"cmd":"NODE_HANDLE_ACK"}',
    b'{"cmd":"NODE_HANDLE_ACK"}\r',
    b"\r",
    b"\0\1\2\xff\xfe",
    "\u00e4\u20ac\U0001f600".encode(),
    b"x" * 1000,
]


def talker(dispatcher: DispatcherProcess) -> NodeChannelWorker:
    """A worker that is known and not admitted: it may talk before it serves."""
    worker = NodeChannelWorker(0, 1000)
    dispatcher.add_node_worker(worker)
    return worker


@contextmanager
def talking(worker: NodeChannelWorker, data: bytes, times: int = 1) -> Iterator[threading.Thread]:
    """Write more than fits meanwhile."""

    def talk() -> None:
        for _ in range(times):
            worker.say_raw(data)

    thread = threading.Thread(target=talk)
    thread.start()
    yield thread
    thread.join()


def test_lines_come_as_they_are_and_in_order() -> None:
    with DispatcherProcess() as dispatcher:
        worker = talker(dispatcher)
        worker.say(*ODD_LINES)
        assert [dispatcher.next_message() for _ in ODD_LINES] == ODD_LINES
        assert {(event.slot, event.incarnation) for event in dispatcher.events[1:]} == {(0, worker.incarnation)}


def test_empty_lines_are_nothing() -> None:
    with DispatcherProcess() as dispatcher:
        talker(dispatcher).say(b"", b"one", b"", b"", b"two", b"")
        assert [dispatcher.next_message() for _ in range(2)] == [b"one", b"two"]
        dispatcher.ping()
        assert dispatcher.events[-1].name is EventName.PONG
        assert dispatcher.events[-2].text == b"two"


@pytest.mark.parametrize(
    "length", [1, PART - 1, PART, PART + 1, 65535, 65536, 65537, 200_000, 900_000, LONGEST - 1, LONGEST]
)
def test_long_line_comes_in_parts(length: int) -> None:
    with DispatcherProcess() as dispatcher:
        line = bytes(32 + number % 90 for number in range(997)) * (length // 997 + 1)
        with talking(talker(dispatcher), line[:length] + b'\n"next"\n'):
            assert dispatcher.next_message() == line[:length]
            parts = [event for event in dispatcher.events if event.name is EventName.WORKER_MESSAGE]
            assert all(len(event.text) == PART and event.goes_on for event in parts[:-1])
            assert len(parts) == -(-length // PART)
            assert dispatcher.next_message() == b'"next"'
        dispatcher.ping()
        assert dispatcher.page.read_slot(0)["history"] == 0


@pytest.mark.parametrize("length", [LONGEST + 1, 64 << 20])
def test_too_long_line_ends_the_conversation(length: int) -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        worker, other = dispatcher.start_node_workers(2)
        clients = dispatcher.connect(count=2)
        worker.wait_taken(1)
        worker.channel.setblocking(False)
        sent = 0
        while sent < length and select.select([], [worker.channel], [], 0.3)[1]:
            sent += worker.channel.send(b"x" * min(65536, length - sent))
        event = dispatcher.wait_event(EventName.CHANNEL_CLOSED)
        assert (event.slot, event.error) == (0, errno.EMSGSIZE)
        assert sent < LONGEST + 2**20  # nobody reads the rest
        clients += dispatcher.connect(count=4)
        serve_until([other], 5)
        worker.kill()
        dispatcher.wait_event(EventName.WORKER_DIED)
        serve_until([other], 1)
        assert all(client.recv(4) == b"x" for client in clients)
        assert all(event.name is not EventName.WORKER_MESSAGE for event in dispatcher.events)


def test_line_that_is_finished_later() -> None:
    with DispatcherProcess() as dispatcher:
        worker = talker(dispatcher)
        worker.say_raw(b'"first"\n"sec')
        assert dispatcher.next_message() == b'"first"'
        wait_until(lambda: dispatcher.slot(worker)["history"], "the begin is read")
        worker.say_raw(b"on")
        dispatcher.ping()
        worker.say_raw(b'd"\n"third"\n')
        assert [dispatcher.next_message() for _ in range(2)] == [b'"second"', b'"third"']
        dispatcher.ping()
        assert dispatcher.slot(worker)["history"] == 0


def test_half_a_line_does_not_wake_it_again_and_again() -> None:
    with DispatcherProcess() as dispatcher:
        talker(dispatcher).say_raw(b'{"half')
        wakeups = dispatcher.wait_quiet()
        dispatcher.assert_silent(0.2)
        assert dispatcher.counters()["wakeups"] == wakeups


def forwarded(dispatcher: DispatcherProcess, worker: NodeChannelWorker, total: int) -> int:
    """Read until all that the worker said is forwarded or dropped; return how many came."""
    dispatcher.control.settimeout(0.05)
    came = 0
    while came + dispatcher.slot(worker)["messages_dropped"] < total:
        try:
            came += dispatcher.next_event().name is EventName.WORKER_MESSAGE
        except TimeoutError:
            continue
    dispatcher.control.settimeout(scaled(10))
    return came


def test_more_than_a_thousand_a_second_are_dropped_and_counted() -> None:
    with DispatcherProcess() as dispatcher:
        worker = talker(dispatcher)
        with talking(worker, b'"chatter"\n' * 50_000):
            came = forwarded(dispatcher, worker, 50_000)
        dropped = dispatcher.slot(worker)["messages_dropped"]
        assert came + dropped == 50_000
        assert dropped
        assert came >= MOST_A_SECOND


def test_chatter_of_the_app_takes_nothing_from_node_itself() -> None:
    with DispatcherProcess() as dispatcher:
        worker = talker(dispatcher)
        online = b'{"cmd":"NODE_CLUSTER","act":"online","seq":0}'
        with talking(worker, b'"chatter"\n' * 50_000 + online + b"\n"):
            while dispatcher.next_message() != online:
                pass
        assert dispatcher.slot(worker)["messages_dropped"]


def test_supervisor_that_does_not_read_loses_nothing_and_stops_nobody_else() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        chatty, other = dispatcher.start_node_workers(2)
        lines = [b'{"number":%d,"text":"%b"}' % (number, b"x" * 500) for number in range(MOST_A_SECOND - 10)]
        clients = dispatcher.connect(count=2)
        (waiting,) = chatty.wait_taken(1)
        with talking(chatty, b"\n".join(lines) + b"\n"):
            wait_until(lambda: select.select([dispatcher.control], [], [], 0)[0], "the first message")
            clients += dispatcher.connect(count=20)
            serve_until([other], 20)
            chatty.wait_taken(2)
            assert [dispatcher.next_message() for _ in lines] == lines
        assert dispatcher.slot(chatty)["messages_dropped"] == 0
        assert waiting in chatty.taken
        serve_until([chatty], 2)
        assert all(client.recv(4) == b"x" for client in clients)


def test_long_line_that_the_supervisor_reads_slowly_comes_whole() -> None:
    with DispatcherProcess() as dispatcher:
        worker = talker(dispatcher)
        lines = [bytes([97 + number]) * 700_000 for number in range(4)]
        with talking(worker, b"\n".join(lines) + b"\n"):
            wait_until(lambda: select.select([dispatcher.control], [], [], 0)[0], "the first part")
            dispatcher.send(encode_ping())
            assert [dispatcher.next_message() for _ in lines] == lines
        dispatcher.ping()
        assert dispatcher.slot(worker)["messages_dropped"] == 0


def test_worker_that_dies_while_the_supervisor_does_not_read_is_heard_to_the_end() -> None:
    with DispatcherProcess() as dispatcher:
        worker = talker(dispatcher)
        lines = [b'"%d %b"' % (number, b"x" * 900) for number in range(200)]
        worker.say(*lines)
        wait_until(lambda: select.select([dispatcher.control], [], [], 0)[0], "the first message")
        worker.die()
        assert [dispatcher.next_message() for _ in lines] == lines
        dispatcher.wait_event(EventName.WORKER_DIED)


def test_a_million_messages_stop_nobody_else() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        other = dispatcher.start_node_workers(1)
        chatty = NodeChannelWorker(1, 2000)
        dispatcher.add_node_worker(chatty)
        with talking(chatty, b'"x"\n' * 50_000, times=20):
            for _ in range(100):
                (client,) = dispatcher.connect()
                serve_until(other, 1)
                assert client.recv(4) == b"x"
                dispatcher.ping()
            forwarded_or_dropped(dispatcher, chatty, 1_000_000)
        assert dispatcher.slot(chatty)["messages_dropped"] > 900_000


def forwarded_or_dropped(dispatcher: DispatcherProcess, worker: NodeChannelWorker, total: int) -> None:
    """Wait until nothing of what the worker said is left."""
    came = sum(event.name is EventName.WORKER_MESSAGE for event in dispatcher.events)
    forwarded(dispatcher, worker, total - came)


def test_handle_of_the_app_is_answered_and_closed() -> None:
    with DispatcherProcess() as dispatcher:
        worker = talker(dispatcher)
        reading, writing = os.pipe()
        line = worker.send_handle(writing, {"some": "message"})
        os.close(writing)
        worker.wait_line(RECEIVED)
        assert dispatcher.next_message() == line
        assert os.read(reading, 1) == b""
        os.close(reading)


def test_many_handles_of_the_app_are_answered_one_by_one() -> None:
    with DispatcherProcess() as dispatcher, open(os.devnull) as null:
        worker = talker(dispatcher)
        for number in range(200):
            worker.send_handle(null.fileno(), number)
            worker.wait_line(RECEIVED)
            dispatcher.next_message()
        worker.say(b'"after"')
        assert dispatcher.next_message() == b'"after"'


def test_descriptors_with_anything_else_are_closed_too() -> None:
    with DispatcherProcess() as dispatcher, open(os.devnull) as null:
        worker = talker(dispatcher)
        for data in (b'"plain"\n', b'"half', b' a line"\n', b"\n", RECEIVED + b"\n"):
            socket.send_fds(worker.channel, [data], [null.fileno()] * 5)
        assert [dispatcher.next_message() for _ in range(2)] == [b'"plain"', b'"half a line"']
        dispatcher.ping()
