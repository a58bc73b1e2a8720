"""A child that the app forks is the app's own: its end, its descriptors and its signals are not the worker's."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.raw_http import RawClient, get
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, serving_worker

WORK = """
import multiprocessing
import os
import signal
from fastlb.worker import ready

fork = multiprocessing.get_context("fork")
children = []
os.chdir(os.path.dirname(__file__))

def say_ready():
    ready()
    open("tried", "w").close()
    signal.pause()

def answer(path):
    if path == "/terminate":
        child = fork.Process(target=signal.pause)
        child.start()
        child.terminate()
        child.join()
        return str(child.exitcode)
    if path == "/pool":
        with fork.Pool(2) as pool:
            return str(pool.map(abs, [-1, 2]))
    if path == "/child":
        child = fork.Process(target=say_ready, daemon=True)
        child.start()
        children.append(child)
        return str(child.pid)
    return "hello"
"""
DAEMON = """
def become_daemon():
    os.setsid()
    os.closerange(3, 256)
    # Without those of libuv's own pipe, which it makes anew in every child, whatever has its numbers by then.
    files = [os.open("writing", os.O_CREAT | os.O_WRONLY) for _ in range(60)][8:]
    if os.fork() == 0:
        for at, letter in enumerate(b"by the daemon"):
            os.pwrite(files[at], bytes([letter]), at)
        os.rename("writing", "written")
    os._exit(0)

def answer(path):
    if os.fork() == 0:
        become_daemon()
    return "started"
"""
WSGI = """
def app(environ, start_response):
    body = answer(environ["PATH_INFO"]).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    body = answer(scope["path"]).encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""
SOURCES = {"wsgi": WORK + WSGI, "asgi on uvloop": WORK + ASGI, "asgi on asyncio": WORK + ASGI}


@pytest.fixture(params=SOURCES)
def worker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[WorkerProcess]:
    loop = "asyncio" if request.param.endswith("asyncio") else "auto"
    with serving_worker(tmp_path, SOURCES[request.param], loop=loop) as worker:
        yield worker


def ask(worker: WorkerProcess, path: str, *headers: str) -> str:
    with RawClient(worker.connect()) as client:
        return client.send(get(path, *headers)).response().body.decode()


def shared_descriptors(worker: WorkerProcess, child: int) -> set[str]:
    """Return the sockets and the shared memory that both have."""
    mine, its = (set(processes.open_fds(pid).values()) for pid in (worker.process.pid, child))
    return {link for link in mine & its if link.startswith(("socket:", "/memfd:"))}


def test_ended_child_ends_nobody_else(worker: WorkerProcess) -> None:
    with RawClient(worker.connect()) as other:
        assert other.send(get("/")).response().body == b"hello"
        for _ in range(10):
            assert ask(worker, "/terminate") == str(-signal.SIGTERM)
        for _ in range(3):
            assert ask(worker, "/pool") == "[1, 2]"
        assert other.send(get("/")).response().header("connection") is None
    assert worker.process.poll() is None


def test_child_has_nothing_that_could_speak_for_the_worker(worker: WorkerProcess, tmp_path: Path) -> None:
    with RawClient(worker.connect()) as other:
        assert other.send(get("/")).response().body == b"hello"
        child = int(ask(worker, "/child"))
        wait_until(lambda: (tmp_path / "tried").exists(), "the child has tried to speak")
        own = processes.open_fds(worker.process.pid)
        shared = shared_descriptors(worker, child)
        assert shared & {own[fd] for fd in worker.inherited_fds} == set()
        # The event loop's wake-up pair, on which nobody writes any more, may be left: one end, or from 3.12 on both, as
        # a hook of asyncio's forgets the other before ours can ask for it.
        assert len(shared) <= 1 + (sys.version_info >= (3, 12))
        assert "memfd:fastlb" not in Path(f"/proc/{child}/maps").read_text()
        assert other.send(get("/")).response().body == b"hello"
    worker.wait_closed()
    assert worker.has_said() == b""


def test_connection_ends_although_a_child_lives(worker: WorkerProcess) -> None:
    with RawClient(worker.connect()) as other, RawClient(worker.connect()) as late:
        assert other.send(get("/")).response().body == b"hello"
        ask(worker, "/child")
        assert other.send(get("/", "Connection: close")).response().body == b"hello"
        assert other.is_closed()
        assert late.send(get("/", "Connection: close")).response().body == b"hello"
        assert late.is_closed()


def test_worker_still_stops_by_its_signal(worker: WorkerProcess) -> None:
    assert ask(worker, "/terminate") == str(-signal.SIGTERM)
    child = int(ask(worker, "/child"))
    os.kill(worker.process.pid, signal.SIGTERM)
    assert worker.wait_exit() == 0
    wait_until(lambda: not processes.is_running(child), "multiprocessing has ended its daemon")


def test_daemon_of_the_app_keeps_what_it_opens_itself(tmp_path: Path) -> None:
    """It closes everything, opens its own on the free numbers, and forks again."""
    source = WORK + DAEMON + WSGI
    with serving_worker(tmp_path, source) as worker:
        ask(worker, "/daemon")
        wait_until(lambda: (tmp_path / "written").exists(), "the daemon has written")
        assert (tmp_path / "written").read_text() == "by the daemon"
