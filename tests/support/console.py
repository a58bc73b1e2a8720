"""Owns the driver of `fastlb console`: its process, and what a browser would ask it, by hand.

Runs in the test process. Every wait has a deadline.
"""

import http.client
import json
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Any, Self, cast

from .fastlb_process import Fastlb
from .waiting import scaled


class Answer:
    """An answer that has come whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read().decode()

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class ConsoleProcess:
    """A running console. Ends with the block; what it has said is in `said` then.

    Attributes:
        token: that it has printed; "": none.
        cookie, key: what it has given for that.
    """

    def __init__(self, fastlb: Fastlb, *options: str) -> None:
        self.process = fastlb.popen("console", "--bind", "0", *options)
        self.link = ""
        while not self.link:
            line = cast(IO[str], self.process.stderr).readline()
            assert line, self.process.communicate(timeout=scaled(10))
            self.link = line.removeprefix("console: ").strip() if line.startswith("console: ") else ""
        self.url, _, self.token = self.link.partition("#token=")
        self.port = int(self.url.rstrip("/").rpartition(":")[2])
        self.cookie = ""
        self.key = ""
        self.said = ""

    def ask(self, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask as the page would: GET, or POST when there is a body. `headers`: instead of the usual ones."""
        usual = {"Host": f"127.0.0.1:{self.port}", "Cookie": self.cookie}
        if body is not None:
            usual |= {"Content-Type": "application/json", "Origin": self.url.rstrip("/"), "x-console-key": self.key}
        sent = {name: value for name, value in (usual | dict(headers or {})).items() if value}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=scaled(30))
        try:
            text = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, text, sent)
            with connection.getresponse() as response:
                return Answer(response)
        finally:
            connection.close()

    def log_in(self) -> Answer:
        """Show the token, and keep what is given for it."""
        answer = self.ask("/login", {"token": self.token})
        assert answer.status == 200, answer.body
        self.cookie = answer.headers["set-cookie"].partition(";")[0]
        self.key = answer.json()["key"]
        return answer

    def app(self, name: str = "app") -> dict[str, Any]:
        """Return what the page is told of an app now; nothing before it knows it."""
        return next((app for app in self.ask("/api/state").json()["apps"] if app["name"] == name), {})

    @contextmanager
    def stream(self, query: str = "") -> Iterator[Iterator[tuple[str, Any]]]:
        """Hold a stream, as pairs of the name of an event and what it says."""
        with socket.create_connection(("127.0.0.1", self.port), scaled(30)) as sock, sock.makefile("rb") as lines:
            head = f"GET /api/stream{query} HTTP/1.1\r\nHost: localhost\r\nCookie: {self.cookie}\r\n\r\n"
            sock.sendall(head.encode())
            assert lines.readline().split()[1] == b"200"
            yield _events(lines)

    def end(self) -> None:
        """End it as a service manager does. May be called twice."""
        if self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        _, self.said = self.process.communicate(timeout=scaled(20))
        assert self.process.returncode == 0, self.said

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self.end()
        elif self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def _events(lines: Any) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in lines:
        if line.startswith(b"event: "):
            name = line.removeprefix(b"event: ").decode().strip()
        elif line.startswith(b"data: "):
            yield name, json.loads(line.removeprefix(b"data: "))
        elif not line.strip():
            name = ""


def refused(fastlb: Fastlb, *options: str) -> subprocess.CompletedProcess[str]:
    """Return how a console ends that cannot be started."""
    return fastlb.cli("console", *options, timeout=20)
