"""`sticky`: clients behind an HTTP proxy come back to their worker, by what the head of their first request says."""

import ipaddress
import socket

import pytest
from fastlb.lb.command import EventName, Policy, WorkerBounds, encode_expect_opening

from tests.support.channel_worker import ChannelWorker
from tests.support.dispatcher_process import DispatcherProcess
from tests.support.waiting import wait_until

LOOPBACK = ((ipaddress.ip_address("::ffff:127.0.0.0").packed, 104),)
PATIENT_NS, SOON_NS = 3600 * 10**9, 20_000_000
DEEP = WorkerBounds(credit=128, capacity=0, max_connections=0)
ADDRESSES = [f"192.0.2.{number}" for number in range(1, 21)]


def request(*lines: str) -> bytes:
    return "\r\n".join(("GET / HTTP/1.1", "Host: a", *lines, "", "")).encode()


def expect_head(
    dispatcher: DispatcherProcess, timeout_ns: int = PATIENT_NS, *, believed: bool = True, proxy_ns: int = 0
) -> None:
    networks = LOOPBACK if believed else ()
    command = encode_expect_opening(proxy_ns, networks, unix_peers=False, head_timeout_ns=timeout_ns, cookie=b"sid")
    dispatcher.send(command)
    dispatcher.listen()


def owner_of(dispatcher: DispatcherProcess, workers: list[ChannelWorker], sent: bytes) -> int:
    """Send the head of a request; return the slot of the worker that gets the connection."""
    before = dispatcher.counters()["dispatched"]
    (client,) = dispatcher.connect()
    client.sendall(sent)
    dispatcher.wait_dispatched(before + 1)
    (owner,) = [worker.slot for worker in workers if worker.take_all()]
    for worker in workers:
        worker.finish_all()
    return owner


def owners(dispatcher: DispatcherProcess, workers: list[ChannelWorker], line: str, prefix: bytes = b"") -> list[int]:
    return [owner_of(dispatcher, workers, prefix + request(line % address)) for address in ADDRESSES]


@pytest.mark.parametrize("line", ["X-Forwarded-For: %s", "Forwarded: for=%s", "Cookie: a=b; sid=%s"])
def test_client_comes_back_to_its_worker_and_clients_are_spread(line: str) -> None:
    with DispatcherProcess(Policy.STICKY) as dispatcher:
        expect_head(dispatcher)
        workers = dispatcher.start_workers(4, DEEP)
        found = owners(dispatcher, workers, line)
        assert owners(dispatcher, workers, line) == found
        assert set(found) == {0, 1, 2, 3}
        workers[2].kill()
        dispatcher.wait_event(EventName.WORKER_DIED)
        after = owners(dispatcher, workers[:2] + workers[3:], line)
        assert [new for new, old in zip(after, found, strict=True) if old != 2] == [old for old in found if old != 2]


def test_forwarded_address_is_believed_of_proxies_only() -> None:
    with DispatcherProcess(Policy.STICKY) as dispatcher:
        expect_head(dispatcher, believed=False)
        workers = dispatcher.start_workers(4, DEEP)
        assert len(set(owners(dispatcher, workers, "X-Forwarded-For: %s"))) == 1, "all are 127.0.0.1"


def test_address_of_a_proxy_header_is_the_clients_own() -> None:
    with DispatcherProcess(Policy.STICKY) as dispatcher:
        expect_head(dispatcher, proxy_ns=PATIENT_NS)
        workers = dispatcher.start_workers(4, DEEP)
        prefix = b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n"
        assert len(set(owners(dispatcher, workers, "X-Forwarded-For: %s", prefix))) == 1, "it is no proxy"
        assert len(set(owners(dispatcher, workers, "X-Forwarded-For: %s", b"PROXY UNKNOWN\r\n"))) > 1


def test_head_in_pieces_is_waited_for_and_others_are_not() -> None:
    with DispatcherProcess(Policy.STICKY) as dispatcher:
        expect_head(dispatcher)
        workers = dispatcher.start_workers(4, DEEP)
        (slow,) = dispatcher.connect()
        slow.sendall(request("X-Forwarded-For: 192.0.2.1")[:40])
        wait_until(lambda: dispatcher.counters()["openings"] == 1, "it waits")
        own = owner_of(dispatcher, workers, request("X-Forwarded-For: 192.0.2.1"))
        slow.sendall(request("X-Forwarded-For: 192.0.2.1")[40:])
        workers[own].take_until(1)


def test_head_may_come_after_the_proxy_header() -> None:
    with DispatcherProcess(Policy.STICKY) as dispatcher:
        expect_head(dispatcher, proxy_ns=PATIENT_NS)
        (worker,) = dispatcher.start_workers(1, DEEP)
        (client,) = dispatcher.connect()
        wait_until(lambda: dispatcher.counters()["openings"] == 1, "it waits")
        client.sendall(b"PROXY UNKNOWN\r\n")
        dispatcher.ping()
        client.sendall(request())
        worker.take_until(1)


def test_client_that_ends_its_sending_within_its_head_goes_to_a_worker() -> None:
    with DispatcherProcess(Policy.STICKY) as dispatcher:
        expect_head(dispatcher)
        (worker,) = dispatcher.start_workers(1, DEEP)
        (client,) = dispatcher.connect()
        client.sendall(request()[:20])
        wait_until(lambda: dispatcher.counters()["openings"] == 1, "it waits")
        client.shutdown(socket.SHUT_WR)
        worker.take_until(1)
        assert dispatcher.counters()["proxy_malformed"] == 0


def test_who_sends_nothing_goes_to_the_worker_with_the_fewest() -> None:
    with DispatcherProcess(Policy.STICKY) as dispatcher:
        expect_head(dispatcher, SOON_NS)
        workers = dispatcher.start_workers(4, DEEP)
        dispatcher.connect(count=8)
        for worker in workers:
            worker.take_until(2)
        assert dispatcher.counters()["proxy_late"] == 0


def test_client_of_a_worker_that_has_not_taken_it_goes_where_its_others_go() -> None:
    with DispatcherProcess(Policy.STICKY) as dispatcher:
        expect_head(dispatcher)
        workers = dispatcher.start_workers(4, DEEP)
        own = owner_of(dispatcher, workers, request("X-Forwarded-For: 192.0.2.7"))
        before = dispatcher.counters()["dispatched"]
        (client,) = dispatcher.connect()
        client.sendall(request("X-Forwarded-For: 192.0.2.7"))
        dispatcher.wait_dispatched(before + 1)
        workers[own].kill()
        dispatcher.wait_event(EventName.WORKER_DIED, taken_back=1)
        others = [worker for worker in workers if worker.slot != own]
        dispatcher.wait_dispatched(before + 2)
        (taken,) = [worker.slot for worker in others if worker.take_all()]
        assert taken == owner_of(dispatcher, others, request("X-Forwarded-For: 192.0.2.7"))
