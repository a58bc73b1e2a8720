"""Whose forwarded headers are believed, and what an app is told of its client, by both kinds of workers."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw_http import RawClient, get
from tests.support.worker_process import Listener, serving_worker

WSGI = """
import json

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [json.dumps([environ["REMOTE_ADDR"], environ["SERVER_NAME"], environ["wsgi.url_scheme"]]).encode()]
"""
ASGI = """
import json

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    body = json.dumps([(scope["client"] or [""])[0], scope["server"][0], scope["scheme"]]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
KINDS = {"wsgi": (WSGI, "auto"), "asgi on uvloop": (ASGI, "auto"), "asgi on asyncio": (ASGI, "asyncio")}
FORWARDED = ("X-Forwarded-For: 8.8.8.8", "X-Forwarded-Proto: https")


class DualStackListener(Listener):
    """A listener on every address of both families; its clients come over IPv4."""

    def __init__(self) -> None:
        super().__init__(socket.AF_INET6, ("::", 0))

    def connect(self) -> socket.socket:
        """Return a new client connection."""
        return socket.create_connection(("127.0.0.1", self.address[1]), timeout=10)


def seen(directory: Path, kind: str, listener: Listener, *headers: str, **settings: Any) -> list[str]:
    """Return client, server and scheme as the app sees them."""
    source, loop = KINDS[kind]
    with (
        serving_worker(directory, source, [listener], loop=loop, **settings) as worker,
        RawClient(worker.connect()) as client,
    ):
        shown: list[str] = json.loads(client.send(get("/", *headers, "Connection: close")).response().body)
    return shown


@pytest.mark.parametrize("kind", KINDS)
def test_ipv4_client_of_a_listener_for_both_has_an_ipv4_address(tmp_path: Path, kind: str) -> None:
    assert seen(tmp_path, kind, DualStackListener()) == ["127.0.0.1", "127.0.0.1", "http"]


@pytest.mark.parametrize("kind", KINDS)
def test_local_proxy_is_believed_on_a_listener_for_both(tmp_path: Path, kind: str) -> None:
    client, _, scheme = seen(tmp_path, kind, DualStackListener(), *FORWARDED)
    assert (client, scheme) == ("8.8.8.8", "https")


@pytest.mark.parametrize("kind", KINDS)
def test_another_machine_than_the_proxy_is_not_believed(tmp_path: Path, kind: str) -> None:
    shown = seen(tmp_path, kind, DualStackListener(), *FORWARDED, forwarded_allow_ips="192.0.2.1")
    assert shown == ["127.0.0.1", "127.0.0.1", "http"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("allowed", "believed"),
    [("127.0.0.0/8", True), ("10.0.0.0/8, 127.0.0.7/8", True), ("10.0.0.0/8", False), ("::/0", False), ("*", True)],
)
def test_network_of_proxies_is_believed(tmp_path: Path, kind: str, allowed: str, believed: bool) -> None:
    client, _, scheme = seen(tmp_path, kind, Listener(), *FORWARDED, forwarded_allow_ips=allowed)
    assert (client, scheme) == (("8.8.8.8", "https") if believed else ("127.0.0.1", "http"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("settings", "believed"), [({}, True), ({"forwarded_allow_ips": "127.0.0.1"}, False)])
def test_proxy_on_a_unix_socket_is_believed_unless_the_list_leaves_it_out(
    tmp_path: Path, kind: str, settings: dict[str, str], believed: bool
) -> None:
    listener = Listener(socket.AF_UNIX, str(tmp_path / "s"))
    client, _, scheme = seen(tmp_path, kind, listener, *FORWARDED, **settings)
    assert (client, scheme) == (("8.8.8.8", "https") if believed else ("", "http"))


@pytest.mark.parametrize("kind", KINDS)
def test_client_cannot_claim_an_address_through_a_proxy_on_a_unix_socket(tmp_path: Path, kind: str) -> None:
    listener = Listener(socket.AF_UNIX, str(tmp_path / "s"))
    claimed = seen(tmp_path, kind, listener, "X-Forwarded-For: 1.1.1.1, 8.8.8.8")
    assert claimed[0] == "8.8.8.8"
