"""Errors of the kernel: a verdict for every errno of accept4 and sendmsg; real EMFILE, EPIPE, EAGAIN, ETOOMANYREFS."""

import errno
import os
import resource
import socket
import time

import pytest
from fastlb.lb.command import CommandName, EventName, WorkerBounds, encode_add_listener
from fastlb.lb.dispatcher import accept_verdict, send_verdict
from fastlb.lb.page import SlotState

from tests.support.channel_worker import ChannelWorker
from tests.support.dispatcher_process import DispatcherProcess
from tests.support.waiting import wait_until

DEEP = WorkerBounds(credit=128, capacity=0, max_connections=0)
PAUSES = (0.02, 0.04, 0.08, 0.1)  # of a listener, the second to the fifth in a row; seconds

ACCEPT_RETRIED = {
    "EINTR", "ECONNABORTED", "ENETDOWN", "EPROTO", "ENOPROTOOPT", "EHOSTDOWN", "ENONET", "EHOSTUNREACH",
    "ENETUNREACH", "ETIMEDOUT",
}  # fmt: skip
ACCEPT_BROKEN = {"EBADF", "ENOTSOCK", "EINVAL", "EOPNOTSUPP", "EFAULT"}


@pytest.mark.parametrize("error", sorted(errno.errorcode), ids=errno.errorcode.get)
def test_every_errno_of_accept_has_a_verdict(error: int) -> None:
    name = errno.errorcode[error]
    expected = "pause"
    if name == "EAGAIN":
        expected = "again"
    elif name in ACCEPT_RETRIED:
        expected = "retry"
    elif name in ACCEPT_BROKEN or error == errno.EOPNOTSUPP:
        expected = "broken"
    assert accept_verdict(error) == expected


@pytest.mark.parametrize("error", sorted(errno.errorcode), ids=errno.errorcode.get)
def test_every_errno_of_send_has_a_verdict(error: int) -> None:
    expected = {
        errno.EINTR: "retry",
        errno.EAGAIN: "full",
        errno.ETOOMANYREFS: "pause",
        errno.ENOBUFS: "pause",
        errno.ENOMEM: "pause",
    }.get(error, "broken")
    assert send_verdict(error) == expected


def fill_descriptor_table(dispatcher: DispatcherProcess, spare: int = 0) -> None:
    """Set the limit so that `spare` more descriptors fit."""
    used = dispatcher.descriptors()
    free = [fd for fd in range(3, len(used) + spare + 4) if fd not in used]
    set_descriptor_limit(dispatcher, free[spare])


def set_descriptor_limit(dispatcher: DispatcherProcess, soft: int) -> None:
    _, hard = resource.prlimit(dispatcher.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(dispatcher.process.pid, resource.RLIMIT_NOFILE, (soft, hard))


def test_full_descriptor_table_pauses_and_resets_nobody() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1, DEEP)
        fill_descriptor_table(dispatcher)
        began = time.monotonic()
        clients = dispatcher.connect(count=30)
        event = dispatcher.wait_event(EventName.LISTENER_ERROR)
        assert (event.listener_id, event.error) == (0, errno.EMFILE)
        wait_until(lambda: dispatcher.page.read_listener(0)["pauses"] >= 6, "the sixth pause")
        assert time.monotonic() - began >= sum(PAUSES)  # a pause may be late, and never early
        dispatcher.ping()
        reports = [event for event in dispatcher.events if event.name is EventName.LISTENER_ERROR]
        assert len(reports) == 1  # once a second at most
        assert dispatcher.counters()["accepted"] == 0
        set_descriptor_limit(dispatcher, 1024)
        dispatcher.wait_dispatched(30)
        worker.take_all()
        worker.finish_all(b"x")
        assert all(client.recv(4) == b"x" for client in clients)


def test_one_free_descriptor_is_enough_to_go_on() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1, DEEP)
        fill_descriptor_table(dispatcher, spare=1)
        dispatcher.connect(count=30)
        dispatcher.wait_dispatched(30)
        assert dispatcher.page.read_listener(0)["pauses"] == 0
        set_descriptor_limit(dispatcher, 1024)
        worker.take_until(30)


def test_taking_back_waits_for_free_descriptors() -> None:
    """A recvmsg into a full table would lose the connections."""
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        victim, other = dispatcher.start_workers(2)
        clients = dispatcher.connect(count=10)
        dispatcher.wait_dispatched(10)
        fill_descriptor_table(dispatcher)
        victim.kill()
        other.take_all()
        wait_until(lambda: dispatcher.slot(victim)["state"] == SlotState.DEAD, "death seen")
        assert dispatcher.counters()["redispatched"] == 0
        set_descriptor_limit(dispatcher, 1024)
        dispatcher.wait_event(EventName.WORKER_DIED)
        other.take_all()
        other.finish_all(b"x")
        assert all(client.recv(4) == b"x" for client in clients)


def test_worker_that_shuts_its_channel_is_out_and_loses_nothing() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        broken, other = dispatcher.start_workers(2)
        dispatcher.connect(count=4)
        dispatcher.wait_dispatched(4)
        broken.channel.shutdown(socket.SHUT_RD)
        dispatcher.connect(count=4)
        event = dispatcher.wait_event(EventName.CHANNEL_CLOSED)
        assert (event.slot, event.incarnation, event.error) == (0, broken.incarnation, errno.EPIPE)
        other.take_until(8)
        broken.kill()
        assert dispatcher.wait_event(EventName.WORKER_DIED).slot == 0


def fill_send_buffer(worker: ChannelWorker) -> int:
    """Make the worker's channel take no more; return how many messages lie in it."""
    worker.dispatcher_end.setblocking(False)
    sent = 0
    try:
        while True:
            worker.dispatcher_end.send(b"x" * 500)
            sent += 1
    except BlockingIOError:
        return sent


def test_full_channel_is_skipped_until_its_worker_moves() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        full, other = dispatcher.start_workers(2)
        waiting = fill_send_buffer(full)
        dispatcher.connect(count=6)
        dispatcher.wait_dispatched(6)
        failures = dispatcher.counters()["send_failures"]
        assert 1 <= failures <= 2
        assert len(other.take_all()) == 6
        dispatcher.connect(count=4)
        dispatcher.wait_dispatched(10)
        assert dispatcher.counters()["send_failures"] == failures
        for _ in range(waiting):
            full.channel.recv(1000)
        full.status.record_taken(0, 0)
        full.status.record_busy(1)
        dispatcher.connect(count=4)
        dispatcher.wait_dispatched(14)
        assert len(full.take_all()) == 2


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


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become a user whose limit counts")
def test_too_many_descriptors_in_flight_pause_and_lose_nobody() -> None:
    """For a user without rights the descriptors in flight count against RLIMIT_NOFILE (unix(7))."""
    with DispatcherProcess(before_run=BECOME_NOBODY) as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1, DEEP)
        clients = dispatcher.connect(count=100)
        wait_until(lambda: dispatcher.counters()["send_failures"] >= 3, "refused by the kernel")
        failures = dispatcher.counters()["send_failures"]
        dispatcher.assert_silent(0.2)
        # 10 ms between two tries, and always another: whose descriptors are in flight nobody knows
        assert 1 <= dispatcher.counters()["send_failures"] - failures <= 21
        answered = 0

        def all_answered() -> bool:
            nonlocal answered
            answered += len(worker.take_all())
            worker.finish_all(b"x")
            return answered == 100

        wait_until(all_answered, "all connections taken")
        assert all(client.recv(4) == b"x" for client in clients)


def test_listener_that_is_none_is_rejected() -> None:
    with DispatcherProcess() as dispatcher, socket.socket() as not_listening:
        dispatcher.send(encode_add_listener(5), [not_listening.fileno()])
        event = dispatcher.wait_event(EventName.REJECTED)
        assert (event.listener_id, event.error, event.command) == (5, errno.EINVAL, CommandName.ADD_LISTENER)
        assert (event.slot, event.incarnation) == (0, 0)


def test_listener_that_is_shut_down_is_left_alone() -> None:
    with DispatcherProcess() as dispatcher:
        listener = dispatcher.listen()
        dispatcher.start_workers(1)
        listener.shutdown(socket.SHUT_RDWR)
        event = dispatcher.wait_event(EventName.LISTENER_ERROR)
        assert event.error == errno.EINVAL
        wakeups = dispatcher.wait_quiet()
        dispatcher.ping()
        assert dispatcher.counters()["wakeups"] == wakeups + 1


def test_listener_that_is_shut_down_while_nobody_may_take_is_left_alone() -> None:
    """epoll reports the end of a listener even when it is asked for nothing."""
    with DispatcherProcess() as dispatcher:
        listener = dispatcher.listen()
        dispatcher.wait_quiet()
        listener.shutdown(socket.SHUT_RDWR)
        assert dispatcher.wait_event(EventName.LISTENER_ERROR).listener_id == 0
        wakeups = dispatcher.wait_quiet()
        dispatcher.ping()
        assert dispatcher.counters()["wakeups"] == wakeups + 1
