"""The threads of a WSGI app serve quick clients by themselves, and whoever is slow keeps nobody else waiting."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw_http import RawClient, get, request
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, serving_worker

# /block takes a byte from the gate, and waits until there is one.
APP = """
import os
os.chdir({directory!r})

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/block"):
        gate = os.open("gate", os.O_RDONLY)
        os.read(gate, 1)
        os.close(gate)
    size = {{"/large": 8_000_000, "/block-large": 200_000}}.get(path)
    body = b"x" * size if size else environ["wsgi.input"].read() or b"ok"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
# /forbid has the kernel watch nothing more for this thread, by seccomp(2): EPOLL_CTL_ADD fails as it does when a user
# watches as much as fs.epoll.max_user_watches says.
UNWATCHED = """
import ctypes, errno, platform, struct

EPOLL_CTL = {"x86_64": 233, "aarch64": 21}
LOAD, JUMP, RETURN, ALLOWED, FAILS = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000

def forbid():
    number = EPOLL_CTL.get(platform.machine())
    if number is None:
        return False
    program = [
        (LOAD, 0, 0, 0), (JUMP, 0, 3, number), (LOAD, 0, 0, 24), (JUMP, 0, 1, 1),
        (RETURN, 0, 0, FAILS | errno.ENOSPC), (RETURN, 0, 0, ALLOWED),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    whole = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    prctl = ctypes.CDLL(None).prctl
    return prctl(38, 1, 0, 0, 0) == 0 and prctl(22, 2, ctypes.create_string_buffer(whole), 0, 0) == 0

def app(environ, start_response):
    done = environ["PATH_INFO"] != "/forbid" or forbid()
    start_response("200 OK" if done else "501 Not Implemented", [("Content-Length", "0")])
    return []
"""
REQUESTS = 300
# Seconds (worker/wsgi/crew.pyx): a taken connection has so long to send, and is nobody's for no longer than that.
GRACE = 0.002
GIVEN_UP_AFTER = 0.2


@contextmanager
def gated_worker(directory: Path, threads: int, **settings: Any) -> Iterator[WorkerProcess]:
    """Run a worker whose app can be blocked; the gate lets everybody go at the end."""
    os.mkfifo(directory / "gate")
    gate = os.open(directory / "gate", os.O_RDWR)
    source = APP.format(directory=str(directory))
    try:
        with serving_worker(directory, source, threads=threads, **{"timeout_keep_alive": 600.0, **settings}) as worker:
            yield worker
            os.write(gate, bytes(64))
    finally:
        os.close(gate)


def sleeps_of_loop(worker: WorkerProcess) -> int:
    """Return how often the main thread, the event loop's, has gone to sleep."""
    pid = worker.process.pid
    (count,) = re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(count)


@pytest.mark.parametrize("threads", [1, 4])
def test_quick_requests_do_not_wake_the_event_loop(tmp_path: Path, threads: int) -> None:
    with gated_worker(tmp_path, threads, access_log=False) as worker:
        listener = worker.listeners[0]
        with RawClient(listener.connect()) as client:
            client.send(get("/"))  # before the hand-over: later ones may find it late, and slow
            worker.hand_over([worker.accept(listener)])
            assert client.response().body == b"ok"
            before = sleeps_of_loop(worker)
            for _ in range(REQUESTS):
                assert client.send(get("/")).response().body == b"ok"
            # Heartbeats, and the timer that looks whether the app is slow: not one for each request.
            assert sleeps_of_loop(worker) - before < REQUESTS / 2
        worker.wait_closed()


def test_connection_that_waits_for_the_thread_is_not_slow(tmp_path: Path) -> None:
    with gated_worker(tmp_path, threads=1, access_log=False) as worker, ExitStack() as stack:
        took = GIVEN_UP_AFTER
        while took >= GIVEN_UP_AFTER:  # the machine was busy: then it is the event loop's, and rightly
            began = time.monotonic()
            client = stack.enter_context(late_client(worker))
            took = time.monotonic() - began
        before = sleeps_of_loop(worker)
        for _ in range(REQUESTS):
            assert client.send(get("/")).response().body == b"ok"
        assert sleeps_of_loop(worker) - before < REQUESTS / 2


@contextmanager
def late_client(worker: WorkerProcess) -> Iterator[RawClient]:
    """Return a client whose request came after its connection was taken, while the only thread was in the app."""
    listener = worker.listeners[0]
    with RawClient(listener.connect()) as client, RawClient(listener.connect()) as blocker:
        blocker.send(get("/block", "Connection: close"))
        before = worker.counters()["requests"]
        worker.hand_over([worker.accept(listener) for _ in range(2)])
        wait_until(lambda: worker.counters()["requests"] == before + 1, "the thread is in the app")
        client.send(get("/"))
        taken = time.monotonic()
        wait_until(lambda: time.monotonic() > taken + GRACE, "its time to send is up")
        (worker.output.parent / "gate").write_bytes(b"1")
        assert client.response().body == b"ok"
        assert blocker.response().body == b"ok"
        yield client


@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
def test_thread_that_blocks_keeps_nobody_waiting(tmp_path: Path, kept: bool) -> None:
    with gated_worker(tmp_path, threads=3) as worker, ExitStack() as stack:
        clients = [stack.enter_context(RawClient(worker.connect())) for _ in range(3)]
        for client in clients if kept else ():
            assert client.send(get("/")).response().body == b"ok"
        for client in clients[:2]:
            client.send(get("/block"))
        for _ in range(3):
            assert clients[2].send(get("/")).response().body == b"ok"


def test_slow_clients_of_every_kind_keep_nobody_waiting(tmp_path: Path) -> None:
    with gated_worker(tmp_path, threads=1) as worker, ExitStack() as stack:
        slow = [stack.enter_context(RawClient(worker.connect())) for _ in range(4)]
        slow[1].send(b"GET / HT")
        slow[2].send(request("POST", "/", "Content-Length: 4") + b"12")
        slow[3].send(get("/large"))
        slow[3].read_until(b"\r\n\r\n")
        with RawClient(worker.connect()) as quick:
            assert quick.send(get("/")).response().body == b"ok"
        slow[0].send(get("/"))
        slow[1].send(b"TP/1.1\r\nHost: a\r\n\r\n")
        slow[2].send(b"34")
        assert [client.response().body for client in slow[:3]] == [b"ok", b"ok", b"1234"]
        slow[3].read_exactly(8_000_000)
        for client in slow:  # what was slow once is served on
            assert client.send(get("/")).response().body == b"ok"


def test_requests_that_come_together_are_answered_in_order(tmp_path: Path) -> None:
    with gated_worker(tmp_path, threads=2) as worker, RawClient(worker.connect()) as client:
        posts = [request("POST", "/", f"Content-Length: {len(body)}") + body for body in (b"1", b"22", b"333")]
        client.send(b"".join(posts) + get("/", "Connection: close"))
        assert [client.response().body for _ in range(4)] == [b"1", b"22", b"333", b"ok"]
        assert client.is_closed()


def test_client_that_leaves_is_forgotten(tmp_path: Path) -> None:
    with gated_worker(tmp_path, threads=2) as worker:
        with RawClient(worker.connect()) as client:
            assert client.send(get("/")).response().body == b"ok"
            wait_until(lambda: worker.counters()["busy"] == 0, "the thread is free")
        worker.wait_closed()


@pytest.mark.parametrize("path", ["/", "/block"])
@pytest.mark.parametrize("threads", [1, 4])
def test_kept_connection_ends_in_time_whichever_thread_has_kept_it(tmp_path: Path, threads: int, path: str) -> None:
    with gated_worker(tmp_path, threads, timeout_keep_alive=0.5) as worker, RawClient(worker.connect()) as client:
        client.send(get(path))
        if path == "/block":
            wait_until(lambda: worker.counters()["requests"] == 1, "a thread has lost its lead, or will")
            (tmp_path / "gate").write_bytes(b"1")
        assert client.response().body == b"ok"
        assert client.is_closed()


def test_response_is_whole_though_the_client_has_sent_more(tmp_path: Path) -> None:
    with gated_worker(tmp_path, threads=1) as worker, RawClient(worker.connect()) as client:
        client.send(get("/block-large", "Connection: close"))
        wait_until(lambda: worker.counters()["requests"] == 1, "the request has begun")
        client.send(get("/"))
        (tmp_path / "gate").write_bytes(b"1")
        wait_until(lambda: worker.counters()["busy"] == 0, "all of it is in the kernel")
        assert len(client.response().body) == 200_000
        assert client.is_closed()


def test_connection_that_cannot_be_watched_is_closed(tmp_path: Path) -> None:
    with serving_worker(tmp_path, UNWATCHED, threads=1, timeout_keep_alive=600.0) as worker:
        listener = worker.listeners[0]
        for path in ("/forbid", "/"):
            with RawClient(listener.connect()).send(get(path)) as client:  # before the hand-over: nobody waits for it
                worker.hand_over([worker.accept(listener)])
                if client.response().status == 501:
                    pytest.skip("seccomp filters are not allowed here, or are unknown for this machine")
                assert client.is_closed()
        with RawClient(worker.connect()) as silent:
            assert silent.is_closed()
        worker.wait_closed()
