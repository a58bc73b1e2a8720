"""No client holds a thread: not while it sends, not while it reads, not while it is silent."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.raw_http import RawClient, get, request
from tests.support.waiting import wait_until
from tests.support.wsgi_probe import Probe, hello, serving_probe

MEBIBYTE = 1024 * 1024


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Probe]:
    """A worker with one thread, so that whatever holds it stops everything."""
    with serving_probe(tmp_path, threads=1) as probe:
        yield probe


def test_idle_and_silent_connections_do_not_occupy_a_one_thread_worker(probe: Probe) -> None:
    idle = [probe.client(get("/hello")) for _ in range(10)]
    assert [client.response().body for client in idle] == [b"hello"] * 10
    silent = [probe.client() for _ in range(2)]
    partial = [
        probe.client(b"GET / HTTP/1.1\r\nHo"),
        probe.client(request("POST", "/echo", "Content-Length: 9")),
    ]
    wait_until(lambda: probe.worker.counters()["open"] == 14, "all have been taken")
    probe.wait_busy(0)
    hello(probe)
    for client in (*idle, *silent):
        assert client.send(get("/hello")).response().body == b"hello"
    assert partial[0].send(b"st: a\r\n\r\n").response().body == b"hello"
    assert partial[1].send(b"123456789").response().body == b"123456789"
    probe.wait_busy(0)
    for client in (*idle, *silent, *partial):
        client.socket.close()
    probe.wait_closed()


def test_connection_is_busy_while_the_app_runs(probe: Probe) -> None:
    with probe.client(get("/hello")) as client:
        client.response()
        probe.wait_busy(0)
        with probe.gate():
            client.send(get("/wait") + get("/hello"))
            probe.wait_note("waiting")
            probe.wait_busy(1)
            assert probe.worker.counters()["oldest_request_ns"] >= 0
        assert [client.response().body for _ in range(2)] == [b"hello", b"hello"]
        probe.wait_busy(0)


def test_running_app_occupies_its_thread_after_the_client_has_left(probe: Probe) -> None:
    with probe.gate():
        client = probe.client(get("/wait"))
        probe.wait_note("waiting")
        client.leave()
        wait_until(lambda: probe.worker.counters()["open"] == 0, "the connection is closed")
        assert probe.worker.counters()["busy"] == 1
    probe.wait_note("done")
    probe.wait_closed()


def test_requests_wait_for_the_thread_in_the_order_of_their_arrival(probe: Probe) -> None:
    others = [probe.client() for _ in range(5)]  # while the thread is busy no new connection is taken
    left = probe.client()
    wait_until(lambda: probe.worker.counters()["taken"] == 6, "all are taken")
    probe.wait_busy(0)
    with probe.gate():
        first = probe.client(get("/wait"))
        probe.wait_note("waiting")
        for number, client in enumerate(others):
            client.send(get(f"/single?{number}"))
            probe.wait_busy(number + 2)
        left.send(get("/wait?left"))
        probe.wait_busy(7)
        left.leave()
        wait_until(lambda: probe.worker.counters()["closed"] == 1, "the connection is closed")
    assert [client.response().body for client in (first, *others)] == [b"hello", *[b"single"] * 5]
    for client in (first, *others):
        client.socket.close()
    probe.wait_closed()
    assert probe.notes().count("waiting") == 1  # the app is not called for a client that has left


def test_slow_upload_holds_no_thread(probe: Probe) -> None:
    body = os.urandom(300_000)
    with probe.client(request("POST", "/echo", f"Content-Length: {len(body)}")) as slow:
        slow.send(body[:200_000])
        probe.wait_busy(0)
        hello(probe)
        slow.send(body[200_000:])
        assert slow.response().body == body


def test_slow_reader_holds_no_thread_and_gets_everything(probe: Probe) -> None:
    with probe.client(get("/big/24")) as slow:
        probe.wait_note("produced")  # although the client has not read a byte
        probe.wait_busy(0)
        hello(probe)
        body = slow.response().body
    expected = b"".join(number.to_bytes(4, "big") * 262144 for number in range(24))
    assert hashlib.sha256(body).digest() == hashlib.sha256(expected).digest()


def test_slow_readers_cost_the_worker_little_memory(probe: Probe) -> None:
    hello(probe)
    process = psutil.Process(probe.worker.process.pid)
    before = process.memory_info().rss
    slow = [probe.client(get("/big/64")) for _ in range(4)]
    probe.wait_note("produced", 4, timeout=30)
    grown = process.memory_info().rss - before
    assert grown < 32 * MEBIBYTE, f"{grown / MEBIBYTE:.1f} MiB for 256 MiB that wait for their readers"
    for client in slow:
        client.socket.close()
    probe.wait_closed()
    wait_until(lambda: not waiting_files(process), "the files of the buffers are closed")


def waiting_files(process: psutil.Process) -> list[str]:
    directory = Path(f"/proc/{process.pid}/fd")
    links = [os.readlink(entry) for entry in directory.iterdir() if entry.exists() or entry.is_symlink()]
    return [link for link in links if "(deleted)" in link and "memfd" not in link]


def test_small_responses_to_a_client_that_never_reads_are_bounded(probe: Probe) -> None:
    with probe.client() as deaf:
        deaf.socket.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 64 * MEBIBYTE:
                sent += deaf.socket.send(get("/hello") * 1000)
        assert sent < 64 * MEBIBYTE
        probe.wait_busy(0)
        hello(probe)


def test_kept_connection_is_closed_after_its_timeout(tmp_path: Path) -> None:
    with serving_probe(tmp_path, timeout_keep_alive=0.1) as probe, probe.client(get("/hello")) as client:
        assert client.response().body == b"hello"
        assert client.is_closed()
        probe.wait_closed()


def test_keep_alive_of_zero_closes_each_connection(tmp_path: Path) -> None:
    with serving_probe(tmp_path, timeout_keep_alive=0.0) as probe, probe.client(get("/hello")) as client:
        assert client.response().header("connection") == "close"
        assert client.is_closed()


def test_threads_run_requests_at_the_same_time(tmp_path: Path) -> None:
    with serving_probe(tmp_path, threads=3) as probe:
        with probe.gate():
            waiting = [probe.client(get("/wait")) for _ in range(2)]
            probe.wait_note("waiting", 2)
            probe.wait_busy(2)
            hello(probe)
        assert [read_and_close(client) for client in waiting] == [b"hello"] * 2
        probe.wait_closed()


def read_and_close(client: RawClient) -> bytes:
    with client:
        return client.response().body
