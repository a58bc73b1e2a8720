"""The control socket: what it answers, whom it refuses, and that nothing that is sent to it does harm."""

import contextlib
import json
import os
import random
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastlb.supervisor.control.client import ControlClient, NotRunning, Unreachable
from fastlb.supervisor.control.progress import Progress
from fastlb.supervisor.control.protocol import MAX_MESSAGE_BYTES, PROTOCOL_VERSION, Done, LogsParams
from fastlb.supervisor.control.requests import MAX_FOLLOWERS
from fastlb.supervisor.control.server import MAX_CONNECTIONS_PER_UID
from fastlb.supervisor.errors import FastlbError

from tests.support import processes
from tests.support.control_server import RunningServer, request
from tests.support.event_loop import open_loop_globals
from tests.support.waiting import scaled, wait_until

FUZZ_SEED = 20260301
FUZZ_CONNECTIONS = 20
FUZZ_MESSAGES = 5000


@pytest.fixture(scope="module", autouse=True)
def _loop_globals() -> None:
    open_loop_globals()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path) as running:
        yield running


def client_of(server: RunningServer) -> ControlClient:
    return ControlClient(server.paths.control_socket)


def answer_to(server: RunningServer, line: bytes) -> dict[str, Any]:
    with server.connect() as connection, connection.makefile("rb") as answers:
        connection.sendall(line)
        answer = answers.readline()
    reply = json.loads(answer)
    assert isinstance(reply, dict)
    return reply


def failure_of(server: RunningServer, method: str, **params: object) -> FastlbError:
    with client_of(server) as client, pytest.raises(FastlbError) as caught:
        client.call(method, params)
    return caught.value


def test_socket_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        with RunningServer(tmp_path) as server:
            assert stat.S_IMODE(server.paths.control_socket.stat().st_mode) == 0o600
            assert os.umask(0) == 0, "the umask is as before"
    finally:
        os.umask(umask)
    assert not server.paths.control_socket.exists()


def test_reply_carries_id_and_version(server: RunningServer) -> None:
    reply = answer_to(server, request("ping", id=77))
    assert reply == {"jsonrpc": "2.0", "id": 77, "result": {"text": "pong"}, "protocol": PROTOCOL_VERSION}


def test_list_is_the_app_as_it_is(server: RunningServer) -> None:
    with client_of(server) as client:
        assert client.call("list") == server.app.status()
        assert client.pid == os.getpid()


def test_several_calls_on_one_connection(server: RunningServer) -> None:
    with client_of(server) as client:
        for workers in range(1, 20):
            assert client.call("scale", {"workers": workers}) == Done(f"{workers} workers")


def test_requests_sent_at_once_are_answered_in_order(server: RunningServer) -> None:
    with server.connect() as connection, connection.makefile("rb") as answers:
        connection.sendall(b"".join(request("ping", id=number) for number in range(500)))
        assert [json.loads(answers.readline())["id"] for _ in range(500)] == list(range(500))


def test_progress_comes_before_the_result(server: RunningServer) -> None:
    seen: list[Progress] = []
    server.let_reload_end()
    with client_of(server) as client:
        assert client.call("reload", {"parallel": 3}, seen.append) == Done("reloaded, parallel 3")
    assert [(step.admitted, step.workers) for step in seen] == [(1, 2), (2, 2)]


def test_failure_keeps_message_exit_code_and_details(server: RunningServer) -> None:
    failure = failure_of(server, "restart")
    assert failure.message == "worker 0 did not start"
    assert failure.details == "Traceback\n  ValueError"
    assert failure.exit_code == 1


def test_bug_costs_its_request_only_and_is_logged_once(server: RunningServer) -> None:
    failure = failure_of(server, "show")
    assert "ZeroDivisionError" in failure.message
    assert "a bug in show" in failure.details
    with client_of(server) as client:
        client.call("ping")
    assert server.log.count("control_request_failed") == 1


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("scal", {}, ["unknown method 'scal'", "did you mean scale?"]),
        ("__class__", {}, ["unknown method '__class__'"]),
        ("x" * 5000, {}, ["unknown method"]),
        ("scale", {"workers": "4"}, ["scale", "$.workers", "int"]),
        ("scale", {"workers": 1.5}, ["$.workers"]),
        ("scale", {"workers": True}, ["$.workers"]),
        ("scale", {"workers": 4, "change": 1}, ["either"]),
        ("scale", {}, ["either"]),
        ("scale", {"workers": 0}, ["1 to 512"]),
        ("scale", {"workers": -1}, ["1 to 512"]),
        ("scale", {"workers": 1_000_000}, ["1 to 512"]),
        ("scale", {"workers": 2**63}, ["1 to 512"]),
        ("scale", {"change": -2}, ["1 to 512"]),
        ("scale", {"wrkers": 3}, ["wrkers"]),
        ("stop", {"force": "yes"}, ["$.force"]),
        ("logs", {"stream": "../../etc/passwd"}, ["$.stream"]),
        ("reload", {"parallel": 0}, ["--parallel 0"]),
        ("list", {"name": "app"}, ["name"]),
    ],
)
def test_wrong_call_is_refused_by_name(
    server: RunningServer, method: str, params: dict[str, object], words: list[str]
) -> None:
    failure = failure_of(server, method, **params)
    assert failure.exit_code == 2
    assert len(failure.message) < 300
    for word in words:
        assert word in failure.message
    assert server.app.target_workers == 2
    assert server.stops == []


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b"\xff\xfe\n",
        b"\0\n",
        b'{"jsonrpc":"2.0","method":"ping"}\n',
        b'{"jsonrpc":"1.0","id":1,"method":"ping"}\n',
        b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}\n',
        b'{"jsonrpc":"2.0","id":1,"method":7}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":null}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}\n',
        b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"scale","params":{"workers":1e400}}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"scale","params":{"workers":1%s}}\n' % (b"0" * 5000),
        b"[" * 900_000 + b"\n",
        b'{"a":' * 150_000 + b"\n",
        b'{"jsonrpc":"2.0","id":1,"method":"list","params":' + b"[" * 900_000 + b"\n",
    ],
    ids=lambda line: repr(line[:30]),
)
def test_nonsense_is_answered_with_an_error(server: RunningServer, line: bytes) -> None:
    reply = answer_to(server, line)
    assert reply["error"]["code"] <= -32600
    assert reply["error"]["message"]


def test_message_that_is_too_long_costs_the_connection(server: RunningServer) -> None:
    with server.connect() as connection, connection.makefile("rb") as answers:
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"x" * (4 * MAX_MESSAGE_BYTES))
        assert f"at most {MAX_MESSAGE_BYTES} bytes" in answers.readline().decode()
        with pytest.raises(ConnectionError):
            connection.sendall(b"x" * MAX_MESSAGE_BYTES)
    with client_of(server) as client:
        client.call("ping")


def hostile_line(rng: random.Random) -> bytes:
    """Random bytes, or a request with a piece of it broken."""
    if rng.random() < 0.5:
        return rng.randbytes(rng.randrange(60)).replace(b"\n", b"") + b"\n"
    method = rng.choice(["ping", "list", "scale", "reload", "show"])
    line = bytearray(request(method, workers=rng.randrange(-9, 9)))
    for _ in range(rng.randrange(1, 5)):
        line[rng.randrange(len(line) - 1)] = rng.choice(b'{}[]",:0189.eE-x\\ \xff')
    return bytes(line)


def test_100_000_malformed_messages_do_no_harm(server: RunningServer) -> None:
    """Every message gets exactly one answer; nothing is left open; a good client is served as before."""
    server.let_reload_end()
    rng = random.Random(FUZZ_SEED)
    fds_before = len(processes.open_fds(os.getpid()))
    for _ in range(FUZZ_CONNECTIONS):
        with server.connect() as connection, connection.makefile("rb") as answers:
            for _ in range(FUZZ_MESSAGES // 250):
                connection.sendall(b"".join(hostile_line(rng) for _ in range(250)))
                replies = 0
                while replies < 250:
                    reply = answers.readline()
                    assert reply.startswith(b'{"jsonrpc":"2.0"'), reply
                    replies += b'"protocol":' in reply
    with client_of(server) as client:
        assert client.call("list").pid == os.getpid()
    wait_until(lambda: len(processes.open_fds(os.getpid())) <= fds_before, "every connection is closed")


def test_client_that_vanishes_does_not_stop_the_reload(server: RunningServer) -> None:
    with server.connect() as connection:
        connection.sendall(request("reload"))
        assert server.app.is_reloading.wait(scaled(10))
    server.let_reload_end()
    wait_until(lambda: server.app.reloads == 1, "the reload is done")
    with client_of(server) as client:
        client.call("ping")
    assert "failed" not in server.log


def test_connections_of_a_user_are_bounded(server: RunningServer) -> None:
    connections = [server.connect() for _ in range(MAX_CONNECTIONS_PER_UID)]
    for connection in connections:
        connection.sendall(request("reload"))
        assert b"progress" in connection.recv(1000)
    for _ in range(20):
        with server.connect() as one_too_many:
            assert one_too_many.recv(100) == b"", "closed without a word"
    assert 'reason="too many connections"' in server.log
    assert server.log.count("control_client_refused") < 10, "one line a second"
    server.let_reload_end()
    for connection in connections:
        connection.close()

    def is_served() -> bool:
        with server.connect() as connection, contextlib.suppress(ConnectionError):
            connection.sendall(request("ping"))
            return bool(connection.recv(100))
        return False

    wait_until(is_served, "there is room again")


def test_idle_connections_of_a_user_lock_no_command_out(server: RunningServer) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(3 * MAX_CONNECTIONS_PER_UID):
            stack.enter_context(server.connect())
        with client_of(server) as client:
            assert client.call("ping") == Done("pong")
    assert "control_client_refused" not in server.log


def test_those_who_follow_the_logs_leave_room_for_commands(server: RunningServer) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_FOLLOWERS):
            follower = stack.enter_context(server.connect())
            follower.sendall(request("logs"))
            assert b"following" in follower.recv(1000)
        for _ in range(MAX_CONNECTIONS_PER_UID - MAX_FOLLOWERS - 1):
            one_more = stack.enter_context(server.connect())
            one_more.sendall(request("logs"))
            assert b"follow the logs" in one_more.recv(1000)
        command = stack.enter_context(server.connect())
        command.sendall(request("ping"))
        assert b"pong" in command.recv(1000)


AS_ANOTHER_USER = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
os.setresuid(65534, 65534, 65534)
s.connect(sys.argv[1])
try:
    s.sendall(sys.argv[2].encode())
    print(s.recv(100))
except ConnectionError:
    print(b"")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_refused_and_logged() -> None:
    with tempfile.TemporaryDirectory() as home, RunningServer(Path(home)) as server:
        # As if home and socket had been opened by mistake: the kernel's word is what counts.
        path = server.paths.control_socket
        path.chmod(0o666)
        for directory in (path.parent, path.parent.parent, Path(home)):
            directory.chmod(0o755)
        command = [sys.executable, "-c", AS_ANOTHER_USER, str(path), request("stop").decode()]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.stdout.strip() == "b''", result.stderr
        assert "control_client_refused uid=65534" in server.log
        assert server.stops == []


def test_client_that_does_not_read_does_not_hold_others(server: RunningServer) -> None:
    with server.connect() as deaf:
        deaf.setblocking(False)
        for _ in range(200):
            try:
                deaf.send(request("x" * 60_000))
            except BlockingIOError:
                break
        with client_of(server) as client:
            client.call("ping")


def test_follower_gets_every_line_from_its_start(server: RunningServer) -> None:
    starts: list[dict[tuple[int, int], int]] = []
    server.write_line(b"before\n")
    wait_until(lambda: server.paths.out_log.read_bytes(), "the first line is in the file")
    with client_of(server) as client:
        lines = client.stream_lines(LogsParams(), on_start=lambda ends: follow(ends))

        def follow(ends: dict[tuple[int, int], int]) -> None:
            starts.append(ends)
            server.write_line(b"one\n\ntwo \xff\x1b[0m\n")

        assert [next(lines).text for _ in range(3)] == ["one", "", "two \\xff\x1b[0m"]
    status = server.paths.out_log.stat()
    assert starts[0][status.st_dev, status.st_ino] == len(b"before\n")


def test_follower_that_left_is_forgotten(server: RunningServer) -> None:
    with client_of(server) as client:
        lines = client.stream_lines(LogsParams("out"), on_start=lambda _: server.write_line(b"one\n"))
        assert next(lines).text == "one"
    fds = len(processes.open_fds(os.getpid()))
    server.write_line(b"two\n")
    with client_of(server) as client:
        client.call("ping")
    wait_until(lambda: len(processes.open_fds(os.getpid())) <= fds, "its connection is closed")


def test_stop_is_answered_and_ends_followers(server: RunningServer) -> None:
    following = threading.Event()
    texts: list[str] = []

    def follow() -> None:
        with client_of(server) as client:
            texts.extend(note.text for note in client.stream_lines(LogsParams(), on_start=lambda _: following.set()))

    follower = threading.Thread(target=follow)
    follower.start()
    assert following.wait(scaled(10))
    with client_of(server) as client:
        assert client.call("stop", {"force": True}) == Done("stopped")
    follower.join(scaled(10))
    assert not follower.is_alive()
    assert server.stops == [True]


def test_dead_socket_file_is_replaced(tmp_path: Path) -> None:
    with RunningServer(tmp_path) as first:
        path = first.paths.control_socket
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with RunningServer(tmp_path) as second, client_of(second) as client:
        client.call("ping")


def test_nobody_there_is_not_running(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="shop is not running"):
        ControlClient(tmp_path / "shop" / "control.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{tmp_path}/control.sock")
    with pytest.raises(NotRunning):
        ControlClient(tmp_path / "control.sock")


def test_one_that_cannot_be_reached_may_be_running(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(f"{tmp_path}/control.sock")
        with pytest.raises(Unreachable, match="cannot reach the supervisor"):
            ControlClient(tmp_path / "control.sock")


def test_supervisor_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{tmp_path}/control.sock")
        silent.listen(1)
        with (
            ControlClient(tmp_path / "control.sock", timeout=0.05) as client,
            pytest.raises(FastlbError, match=r"did not answer within 0\.05 s"),
        ):
            client.call("list")
