"""Connections that begin with a PROXY header: its client is the one that workers see, and nobody waits for another."""

import contextlib
import ipaddress
import os
import socket
import struct

import pytest
from fastlb.lb.command import EventName, Policy, encode_drain, encode_expect_opening, encode_remove_listener

from tests.support.channel_worker import ChannelWorker
from tests.support.dispatcher_process import DispatcherProcess
from tests.support.waiting import scaled, wait_until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"
LOOPBACK = ((ipaddress.ip_address("::ffff:127.0.0.0").packed, 104),)
PATIENT_NS = 3600 * 10**9
SOON_NS = 50_000_000
MAX_OPENINGS = 512
NO_ROOM = 1016  # places of 1,024 that are in use when a whole message has no room in the rest


def header(client: str, port: int = 4711) -> bytes:
    family = "TCP6" if ":" in client else "TCP4"
    target = "::1" if ":" in client else "127.0.0.1"
    return f"PROXY {family} {client} {target} {port} 80\r\n".encode()


def binary_header(client: str, port: int = 4711) -> bytes:
    address = ipaddress.ip_address(client).packed
    family = 0x11 if len(address) == 4 else 0x21
    rest = address + bytes(len(address)) + struct.pack("!HH", port, 80)
    return SIGNATURE + struct.pack("!BBH", 0x21, family, len(rest)) + rest


def expect_proxy(
    dispatcher: DispatcherProcess,
    timeout_ns: int = PATIENT_NS,
    networks: tuple[tuple[bytes, int], ...] = LOOPBACK,
    *,
    unix_peers: bool = False,
) -> None:
    dispatcher.send(encode_expect_opening(timeout_ns, networks, unix_peers))
    dispatcher.listen()


def taken_peer(worker: ChannelWorker) -> tuple[str, int, bytes]:
    """Take the one connection that comes; return the client as the worker sees it, and what it can read."""
    worker.take_until(1)
    (connection,) = worker.taken
    length = 4 if connection.family == socket.AF_INET else 16
    address = str(ipaddress.ip_address(connection.address[:length]))
    data = os.read(connection.fd, 4096)
    port = connection.port
    worker.finish(connection)
    return address, port, data


def wait_malformed(dispatcher: DispatcherProcess, count: int) -> None:
    wait_until(lambda: dispatcher.counters()["proxy_malformed"] == count, f"{count} had no header")


def wait_closed(client: socket.socket) -> None:
    client.settimeout(scaled(10))
    with contextlib.suppress(ConnectionResetError):
        assert client.recv(1) == b""


@pytest.mark.parametrize(
    "begin", [header("192.0.2.7"), header("2001:db8::7"), binary_header("192.0.2.7"), binary_header("2001:db8::7")]
)
def test_client_is_the_one_in_the_header_and_the_request_is_untouched(begin: bytes) -> None:
    with DispatcherProcess() as dispatcher:
        expect_proxy(dispatcher)
        (worker,) = dispatcher.start_workers(1)
        (client,) = dispatcher.connect()
        client.sendall(begin + REQUEST)
        address, port, data = taken_peer(worker)
        assert address in ("192.0.2.7", "2001:db8::7")
        assert (port, data) == (4711, REQUEST)


@pytest.mark.parametrize("begin", [b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x20\0\0\0"])
def test_proxy_that_speaks_for_itself_is_the_client(begin: bytes) -> None:
    with DispatcherProcess() as dispatcher:
        expect_proxy(dispatcher)
        (worker,) = dispatcher.start_workers(1)
        (client,) = dispatcher.connect()
        client.sendall(begin + REQUEST)
        assert taken_peer(worker) == (*client.getsockname(), REQUEST)


def test_header_may_come_in_pieces_and_nobody_else_waits() -> None:
    with DispatcherProcess() as dispatcher:
        expect_proxy(dispatcher)
        (worker,) = dispatcher.start_workers(1)
        slow, quick = dispatcher.connect(count=2)
        begin = binary_header("2001:db8::7")
        for number in range(len(begin)):
            slow.sendall(begin[number : number + 1])
            if number in (0, 12, 40):
                dispatcher.ping()
                assert dispatcher.counters()["dispatched"] == 0 if number == 0 else 1
            if number == 10:
                quick.sendall(header("192.0.2.9") + REQUEST)
                assert taken_peer(worker)[0] == "192.0.2.9"
        slow.sendall(REQUEST)
        address, _, data = taken_peer(worker)
        assert address == "2001:db8::7"
        assert REQUEST.startswith(data)


@pytest.mark.parametrize("begin", [REQUEST, b"PROXY TCP4 1.2.3\r\n", SIGNATURE + b"\x21\x11\xff\xff", b"PROXY " * 40])
def test_what_is_no_header_is_closed_and_counted(begin: bytes) -> None:
    with DispatcherProcess() as dispatcher:
        expect_proxy(dispatcher)
        dispatcher.start_workers(1)
        for late in (False, True):
            (client,) = dispatcher.connect()
            if late:  # it waits already
                wait_until(lambda: dispatcher.counters()["openings"] == 1, "it waits")
            client.sendall(begin)
            wait_closed(client)
        dispatcher.ping()
        counters = dispatcher.counters()
        assert (counters["proxy_malformed"], counters["openings"], counters["dispatched"]) == (2, 0, 0)


def test_sender_that_leaves_before_its_header_is_whole_costs_no_descriptor() -> None:
    with DispatcherProcess() as dispatcher:
        expect_proxy(dispatcher)
        dispatcher.start_workers(1)
        for sent in (b"", b"PROXY TCP4"):
            (client,) = dispatcher.connect()
            client.sendall(sent)
            client.close()
        wait_until(lambda: dispatcher.counters()["proxy_malformed"] == 2, "both are gone")


def test_late_header_is_closed_and_counted() -> None:
    with DispatcherProcess() as dispatcher:
        expect_proxy(dispatcher, SOON_NS)
        dispatcher.start_workers(1)
        silent, slow = dispatcher.connect(count=2)
        slow.sendall(b"PROXY TCP4")
        wait_closed(silent)
        wait_closed(slow)
        wait_until(lambda: dispatcher.counters()["proxy_late"] == 2, "counted")
        assert dispatcher.counters()["openings"] == 0


@pytest.mark.parametrize("network", ["::ffff:127.0.1.0/120", "::1/128", "::ffff:126.0.0.0/104"])
def test_header_of_an_address_that_is_not_trusted_is_closed_and_counted(network: str) -> None:
    address, _, bits = network.partition("/")
    with DispatcherProcess() as dispatcher:
        expect_proxy(dispatcher, networks=((ipaddress.ip_address(address).packed, int(bits)),))
        dispatcher.start_workers(1)
        (client,) = dispatcher.connect()
        wait_closed(client)
        dispatcher.ping()
        assert (dispatcher.counters()["proxy_untrusted"], dispatcher.counters()["dispatched"]) == (1, 0)


@pytest.mark.parametrize("trusted", [True, False])
def test_unix_peers_are_trusted_where_that_is_said(trusted: bool, tmp_path: object) -> None:
    with DispatcherProcess() as dispatcher, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/s")
        listener.listen()
        dispatcher.send(encode_expect_opening(PATIENT_NS, LOOPBACK, trusted))
        dispatcher.give_listener(0, listener)
        (worker,) = dispatcher.start_workers(1)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(listener.getsockname())
            if trusted:
                client.sendall(header("192.0.2.7") + REQUEST)
                assert taken_peer(worker) == ("192.0.2.7", 4711, REQUEST)
            else:
                wait_closed(client)
                wait_until(lambda: dispatcher.counters()["proxy_untrusted"] == 1, "counted")


def test_silent_ones_are_bounded_and_keep_nobody_from_being_served() -> None:
    with DispatcherProcess() as dispatcher:
        expect_proxy(dispatcher)
        (worker,) = dispatcher.start_workers(1)
        first, *others = dispatcher.connect(count=MAX_OPENINGS)
        wait_until(lambda: dispatcher.counters()["openings"] == MAX_OPENINGS, "all wait")
        _, client = dispatcher.connect(count=2)
        client.sendall(header("192.0.2.7") + REQUEST)
        assert taken_peer(worker)[0] == "192.0.2.7"
        wait_closed(first)
        for other in others[1:101]:
            other.sendall(header("192.0.2.8"))
        worker.take_until(100)
        worker.finish_all()
        assert dispatcher.counters()["proxy_late"] in (1, 2), "one too many, and the other if its header came later"
        for client in dispatcher.clients:
            client.close()
        wait_until(lambda: dispatcher.counters()["openings"] == 0, "they have left")


def test_one_that_is_whole_while_no_worker_has_room_is_held() -> None:
    with DispatcherProcess() as dispatcher:
        expect_proxy(dispatcher)
        (leaving,) = dispatcher.start_workers(1)
        (client,) = dispatcher.connect()
        wait_until(lambda: dispatcher.counters()["openings"] == 1, "it waits")
        dispatcher.send(encode_drain(leaving.slot, leaving.incarnation))
        dispatcher.wait_event(EventName.DRAINED)
        client.sendall(header("192.0.2.7") + REQUEST)
        wait_until(lambda: dispatcher.counters()["held"] == 1, "it waits for a worker")
        worker = dispatcher.new_worker(1)
        dispatcher.admit(worker)
        assert taken_peer(worker) == ("192.0.2.7", 4711, REQUEST)


def test_what_follows_a_header_is_for_the_worker_alone() -> None:
    with DispatcherProcess() as dispatcher:
        expect_proxy(dispatcher)
        (worker,) = dispatcher.start_workers(1)
        (client,) = dispatcher.connect()
        wait_until(lambda: dispatcher.counters()["openings"] == 1, "it waits")
        client.sendall(header("192.0.2.7"))
        worker.take_until(1)
        client.sendall(REQUEST)
        dispatcher.ping()
        counters = dispatcher.counters()
        assert (counters["openings"], counters["proxy_malformed"]) == (0, 0)
        assert os.read(worker.taken[0].fd, 4096) == REQUEST


def test_openings_that_have_ended_keep_no_place_from_others() -> None:
    """Each has one in the queue of held connections: when all of them are lost, nothing can be taken back."""
    with DispatcherProcess() as dispatcher:
        expect_proxy(dispatcher)
        (leaving,) = dispatcher.start_workers(1)
        for ended in range(NO_ROOM // 2, NO_ROOM + 1, NO_ROOM // 2):
            for client in dispatcher.connect(count=NO_ROOM // 2):
                client.close()
            wait_malformed(dispatcher, ended)
        (client,) = dispatcher.connect()
        client.sendall(header("192.0.2.7") + REQUEST)
        dispatcher.wait_dispatched(1)
        worker = dispatcher.new_worker(1)
        dispatcher.admit(worker)
        dispatcher.withdraw(leaving)
        assert taken_peer(worker) == ("192.0.2.7", 4711, REQUEST)


def test_ip_hash_knows_the_client_behind_the_proxy() -> None:
    with DispatcherProcess(Policy.IP_HASH) as dispatcher:
        expect_proxy(dispatcher)
        workers = dispatcher.start_workers(4)
        owners: dict[str, set[int]] = {}
        for number in range(1, 41):
            address = f"192.0.2.{1 + number % 20}"
            (client,) = dispatcher.connect()
            client.sendall(header(address, number))
            dispatcher.wait_dispatched(number)
            for worker in workers:
                if worker.take_all():
                    owners.setdefault(address, set()).add(worker.slot)
                    worker.finish_all()
        assert {len(found) for found in owners.values()} == {1}
        assert len({slot for found in owners.values() for slot in found}) > 1


@pytest.mark.parametrize("proxy_ns", [PATIENT_NS, 0])
def test_openings_of_a_listener_that_is_removed_are_closed(proxy_ns: int) -> None:
    """Another listener may get its number, and whoever waits would be taken for a client of that."""
    with DispatcherProcess(Policy.STICKY) as dispatcher:
        dispatcher.send(encode_expect_opening(proxy_ns, LOOPBACK, False, head_timeout_ns=PATIENT_NS, cookie=b"sid"))
        gone, _ = dispatcher.listen(0), dispatcher.listen(1)
        (worker,) = dispatcher.start_workers(1)
        (closed,) = dispatcher.connect(listener_id=0)
        (kept,) = dispatcher.connect(listener_id=1)
        wait_until(lambda: dispatcher.counters()["openings"] == 2, "both wait")
        dispatcher.send(encode_remove_listener(0))
        wait_closed(closed)
        del dispatcher.listeners[0]
        gone.close()
        dispatcher.listen(0)
        dispatcher.ping()
        assert (dispatcher.counters()["openings"], dispatcher.counters()["dropped"]) == (1, 1)
        kept.sendall(header("192.0.2.7") * (proxy_ns > 0) + REQUEST)
        worker.take_until(1)
        assert worker.taken[0].listener_id == 1


def test_end_of_the_app_waits_for_headers_no_longer_than_their_time() -> None:
    dispatcher = DispatcherProcess()
    try:
        expect_proxy(dispatcher, SOON_NS)
        dispatcher.start_workers(1)
        (client,) = dispatcher.connect()
        wait_until(lambda: dispatcher.counters()["openings"] == 1, "it waits")
        assert dispatcher.quit() == 0
        wait_closed(client)
    finally:
        dispatcher.close()
