"""Node's side of the cluster protocol, byte by byte, in every major version: nothing of fastlb takes part.

Node does not document this protocol. When a test here fails for a new version, the dispatcher has to learn it.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.node.conftest import node_or_skip
from tests.support.http_exchange import exchange, request_bytes
from tests.support.node_packages import APPS, NODE_VERSIONS, node_binary
from tests.support.node_primary import PING, NodeWorker
from tests.support.waiting import scaled

HANDLE_ACK = b'{"cmd":"NODE_HANDLE_ACK"}\n'
HANDLE_NACK = b'{"cmd":"NODE_HANDLE_NACK"}\n'
ENVIRONMENT = {"PORT": "3000", "READY_AFTER": "0"}
KEY = "7"
OWN = 0


@pytest.fixture(scope="module", params=[OWN, *NODE_VERSIONS], ids=["own", *map(str, NODE_VERSIONS)])
def binary(request: pytest.FixtureRequest, _node_is_there: None) -> Path:
    """The machine's own node, and one of each major version."""
    return node_or_skip(request.param) if request.param != OWN else Path(node_binary())


@pytest.fixture
def worker(binary: Path) -> Iterator[NodeWorker]:
    """A worker that has said nothing yet."""
    with NodeWorker(binary, APPS / "http.js", ENVIRONMENT) as started:
        yield started


@contextmanager
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection: the client's, and the accepted one as a dispatcher has it."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), timeout=scaled(5)) as client,
        listener.accept()[0] as accepted,
    ):
        accepted.setblocking(False)
        yield client, accepted


def accepted_line(number: int, accepted: bool, seq: int) -> bytes:
    word = "true" if accepted else "false"
    return f'{{"cmd":"NODE_CLUSTER","ack":{number},"accepted":{word},"seq":{seq}}}\n'.encode()


def test_worker_says_that_it_is_online_and_asks_for_a_server(worker: NodeWorker) -> None:
    assert worker.read_line() == b'{"cmd":"NODE_CLUSTER","act":"online","seq":0}\n'
    query = worker.read()
    asked = {name: query[name] for name in ("cmd", "act", "index", "address", "port", "addressType", "seq")}
    expected = {"act": "queryServer", "index": 0, "address": None, "port": 3000, "addressType": 4, "seq": 1}
    assert asked == {"cmd": "NODE_CLUSTER", **expected}
    assert query["data"] is None
    assert query.get("fd") is None


def test_backlog_is_false_when_the_app_gives_a_host_and_a_callback(binary: Path) -> None:
    """`listen(port, host, callback)`, as most apps call it: what Node takes for the backlog is no number then."""
    with NodeWorker(binary, APPS / "pm2_style.js", ENVIRONMENT) as worker:
        assert worker.bring_up(KEY)["backlog"] is False


def test_connection_is_acknowledged_then_accepted_then_served(worker: NodeWorker) -> None:
    worker.bring_up(KEY)
    for turn in range(2):
        with connection() as (client, accepted):
            number = worker.send_connection(KEY, accepted.fileno())
            assert worker.read_line() == HANDLE_ACK
            assert worker.read_line() == accepted_line(number, True, seq=3 + turn)
            accepted.close()
            assert exchange(client).status == 200


def test_connection_for_a_server_that_it_does_not_have_is_not_accepted(worker: NodeWorker) -> None:
    worker.bring_up(KEY)
    with connection() as (_, accepted):
        number = worker.send_connection("no such key", accepted.fileno())
        assert worker.read_line() == HANDLE_ACK
        assert worker.read_line() == accepted_line(number, False, seq=3)


def test_handle_without_a_descriptor_is_refused_and_serves_as_a_ping(worker: NodeWorker) -> None:
    worker.bring_up(KEY)
    for _ in range(3):
        worker.send_line(PING)
        assert worker.read_line() == HANDLE_NACK
    with connection() as (client, accepted):
        worker.send_connection(KEY, accepted.fileno())
        assert worker.read_line() == HANDLE_ACK
        assert exchange(client).status == 200


def test_refused_listen_is_an_error_of_the_app(worker: NodeWorker) -> None:
    """The app does not handle it, so it dies of it."""
    worker.read()
    query = worker.read()
    worker.send(errno=-98, key=KEY, ack=query["seq"], data=None)
    assert worker.wait() == 1


def test_disconnect_closes_the_server_and_ends_the_worker(worker: NodeWorker) -> None:
    worker.bring_up(KEY)
    worker.send(act="disconnect")
    closed = worker.read()
    assert {name: closed[name] for name in ("cmd", "act", "key")} == {
        "cmd": "NODE_CLUSTER",
        "act": "close",
        "key": KEY,
    }
    assert worker.read_line() == b""
    assert worker.wait() == 0


def test_worker_ends_when_the_channel_does(worker: NodeWorker) -> None:
    worker.bring_up(KEY)
    worker.close_channel()
    assert worker.wait() == 0


def test_messages_of_the_app_are_plain_json(binary: Path) -> None:
    with NodeWorker(binary, APPS / "pm2_style.js", ENVIRONMENT) as worker:
        worker.bring_up(KEY)
        assert worker.read_line() == b'"ready"\n'
        worker.send_line(b'"shutdown"\n')
        assert worker.read()["act"] == "close"
        assert worker.wait() == 0


def test_handle_that_the_app_sends_holds_answers_back_until_it_is_acknowledged(binary: Path) -> None:
    with (
        NodeWorker(binary, APPS / "sends_socket.js", ENVIRONMENT) as worker,
        connection() as (client, first),
        connection() as (_, second),
    ):
        worker.bring_up(KEY)
        worker.send_connection(KEY, first.fileno())
        assert worker.read_line() == HANDLE_ACK
        assert worker.read()["accepted"]
        client.sendall(request_bytes("/send"))
        sent = worker.read()
        assert (sent["cmd"], sent["type"], sent["msg"]["here"]) == ("NODE_HANDLE", "net.Socket", "is a socket")
        number = worker.send_connection(KEY, second.fileno())
        worker.send_line(PING)
        assert worker.read_line() == HANDLE_ACK
        assert worker.read_line() == HANDLE_NACK, "the answer to the connection waits"
        worker.send_line(HANDLE_ACK)
        assert worker.read_line() == accepted_line(number, True, seq=4)
