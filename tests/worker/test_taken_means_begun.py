"""What a worker takes it begins: the rest stays in its channel, where the dispatcher could take it back."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.http_exchange import read_response, request_bytes
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, serving_worker

# /block holds the event loop until the test lets it go; the answer says whether a task runs it, from its first step on.
BLOCKING = """
import asyncio

async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/block":
        with open("gate") as gate:
            gate.read()
    async with asyncio.timeout(60):
        body = b"task" if asyncio.current_task() else b""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""
# So short that whatever a worker does holds its loop for longer.
NO_TIME, MUCH_TIME = 1e-9, 3600.0
SEEN_BY_A_TASK = b"task"
FIRST_STEP_NS = 100_000


@contextmanager
def blocking_worker(directory: Path, handover_timeout: float, loop: str = "uvloop") -> Iterator[WorkerProcess]:
    """Run a worker whose app can be blocked."""
    os.mkfifo(directory / "gate")
    source = f"import os\nos.chdir({str(directory)!r})\n{BLOCKING}"
    with serving_worker(directory, source, handover_timeout=handover_timeout, loop=loop) as worker:
        yield worker


def let_go(directory: Path) -> None:
    """Let the request that blocks go on; waits for it to block, if it does not yet."""
    with open(directory / "gate", "w"):
        pass


def asking_clients(worker: WorkerProcess, *paths: str, per_message: int = 1) -> list[socket.socket]:
    """Hand over a connection for each path, so many in a message, whose clients have asked already."""
    clients = [worker.listeners[0].connect() for _ in paths]
    for client, path in zip(clients, paths, strict=True):
        client.sendall(request_bytes(path, "connection: close"))
    taken = [worker.accept(worker.listeners[0]) for _ in clients]
    for at in range(0, len(taken), per_message):
        worker.hand_over(taken[at : at + per_message])
    return clients


def learn(worker: WorkerProcess) -> None:
    """Let a worker find out that its turns are long: not from one in which it mostly waited for a CPU."""

    def wants_one() -> bool:
        assert_answered(asking_clients(worker, "/"))
        return worker.counters()["per_message"] == 1

    wait_until(wants_one, "the worker wants one in a message")
    worker.wait_closed()


def assert_answered(clients: list[socket.socket]) -> None:
    """Read the answers."""
    for client in clients:
        with client:
            assert read_response(client).body == SEEN_BY_A_TASK


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_worker_whose_turns_are_long_begins_one_and_leaves_the_others_in_the_channel(tmp_path: Path, loop: str) -> None:
    with blocking_worker(tmp_path, NO_TIME, loop) as worker:
        learn(worker)
        before = worker.counters()["taken"]
        clients = asking_clients(worker, "/block", "/", "/", "/")
        wait_until(lambda: worker.counters()["requests"] == before + 1, "the request that blocks has begun")
        assert worker.counters()["taken"] == before + 1
        let_go(tmp_path)
        assert_answered(clients)
        worker.wait_closed()


def test_what_was_taken_together_begins_in_the_turn_after_and_is_answered_before_the_next_is_taken(
    tmp_path: Path,
) -> None:
    with blocking_worker(tmp_path, NO_TIME) as worker:
        learn(worker)
        before = worker.counters()["taken"]
        clients = asking_clients(worker, "/", "/", "/block", per_message=3) + asking_clients(worker, "/")
        wait_until(lambda: worker.counters()["requests"] == before + 3, "the request that blocks has begun")
        assert worker.counters()["taken"] == before + 3
        assert_answered(clients[:2])
        let_go(tmp_path)
        assert_answered(clients[2:])


def test_worker_whose_turns_are_short_takes_many_at_once(tmp_path: Path) -> None:
    with blocking_worker(tmp_path, MUCH_TIME) as worker:
        clients = asking_clients(worker, "/block")
        wait_until(lambda: worker.counters()["requests"] == 1, "it blocks")
        clients += asking_clients(worker, *["/"] * 16, "/block", *["/"] * 10)
        let_go(tmp_path)
        wait_until(lambda: worker.counters()["requests"] == 18, "it blocks again")
        assert worker.counters()["taken"] == 28
        let_go(tmp_path)
        assert_answered(clients)
        assert worker.counters()["per_message"] == 0


def test_worker_says_how_many_it_wants_by_how_long_its_loop_was_held(tmp_path: Path) -> None:
    with blocking_worker(tmp_path, MUCH_TIME) as worker:
        assert_answered(asking_clients(worker, "/"))
        assert worker.counters()["per_message"] == 0
    (tmp_path / "gate").unlink()
    with blocking_worker(tmp_path, 1e-4) as worker:  # a sixteenth of it is less than a system call or two
        clients = asking_clients(worker, "/block")
        let_go(tmp_path)
        assert_answered(clients)
        wait_until(lambda: 1 <= worker.counters()["per_message"] <= 15, "fewer are wanted in a message")


def test_worker_says_how_long_what_it_takes_usually_holds_it_up(tmp_path: Path) -> None:
    with blocking_worker(tmp_path, MUCH_TIME) as worker:
        assert worker.counters()["turn_ns"] == 0
        clients = asking_clients(worker, "/block")
        let_go(tmp_path)
        assert_answered(clients)
        wait_until(lambda: worker.counters()["turn_ns"] > 0, "it says so")
        assert worker.counters()["turn_ns"] <= FIRST_STEP_NS, "one long turn does not make them usual"


def test_client_that_has_sent_nothing_holds_up_nobody(tmp_path: Path) -> None:
    with blocking_worker(tmp_path, NO_TIME) as worker:
        silent = [worker.connect() for _ in range(3)]
        assert_answered(asking_clients(worker, "/", "/"))
        wait_until(lambda: worker.counters()["busy"] == 0, "nothing is busy")
        assert worker.counters()["taken"] == 5
        for client in silent:
            client.sendall(request_bytes("/", "connection: close"))
        assert_answered(silent)
        worker.wait_closed()


@pytest.mark.parametrize("sent", [[1], [2], [1, 9000], [9000, 1]])
def test_whatever_a_client_has_sent_before_it_is_adopted_is_served(tmp_path: Path, sent: list[int]) -> None:
    with blocking_worker(tmp_path, MUCH_TIME) as worker:
        client = worker.listeners[0].connect()
        client.sendall(b"".join(request_bytes("/" + "a" * length) for length in sent))
        worker.hand_over([worker.accept(worker.listeners[0])])
        answers = b""
        with client:
            while answers.count(b"HTTP/1.1 200 OK") < len(sent):
                data = client.recv(65536)
                assert data, answers
                answers += data
        worker.wait_closed()


def test_worker_that_missed_a_connection_knows_that_something_held_its_loop(tmp_path: Path) -> None:
    with blocking_worker(tmp_path, MUCH_TIME) as worker:
        assert_answered(asking_clients(worker, "/"))
        assert worker.counters()["per_message"] == 0
        worker.position += 1  # as if one had been sent, and taken back
        assert_answered(asking_clients(worker, "/"))
        wait_until(lambda: worker.counters()["per_message"] == 1, "the worker wants one in a message")
