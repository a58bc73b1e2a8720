"""The PROXY protocol from the command line to what the app and its access log see."""

import contextlib
import socket

import pytest

from tests.support.fastlb_process import App, Fastlb
from tests.support.waiting import scaled, wait_until

HEADER = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n"
REQUEST = b"GET /plain HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"


def said(app: App, sent: bytes) -> bytes:
    """Send bytes on a connection of its own; return all that comes back."""
    with socket.create_connection(("127.0.0.1", app.port), timeout=scaled(10)) as client:
        client.sendall(sent)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while data := client.recv(4096):
                answer += data
        return answer


@pytest.mark.parametrize(
    ("target", "options"),
    [("asgi_probe:app", ()), ("asgi_probe:app", ("--loop", "asyncio", "--http", "h11")), ("wsgi_probe:app", ())],
)
def test_access_log_and_app_see_the_client(fastlb: Fastlb, target: str, options: tuple[str, ...]) -> None:
    app = fastlb.start(target, "--proxy-protocol", "--access-log-format", "%(h)s %(U)s", *options)
    assert said(app, HEADER + REQUEST).startswith(b"HTTP/1.1 200")
    wait_until(lambda: "192.0.2.7 /plain" in app.log("out"), "the line is there")
    assert said(app, REQUEST) == b""
    wait_until(lambda: app.show()["dispatcher"]["proxy_malformed"] == 1, "counted")
    app.ok("stop")


def test_only_trusted_addresses_are_heard(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--proxy-protocol", "--proxy-allow-ips", "10.0.0.0/8, 2001:db8::1")
    assert said(app, b"") == b""
    wait_until(lambda: app.show()["dispatcher"]["proxy_untrusted"] == 1, "counted")
    app.ok("stop")
