"""Owns the load generator: many clients on one epoll, each request classified, each latency kept.

Runs in a process of its own (`python -m tests.support.load`, see load_process.py), so that it neither
disturbs the test nor is disturbed by it. Never retries: what a client would have seen is what is counted.
"""

import argparse
import errno
import mmap
import os
import select
import socket
import struct
import sys
import time
from array import array
from collections import deque
from typing import Any

import msgspec

from .load_plan import Address, Failure, Plan, Report
from .response import expected_length, is_complete, status_of

REFUSED_PAUSE = 0.005
IDLE_WAIT = 0.05
EARLIEST_SEND_EVENTS = select.EPOLLIN | select.EPOLLOUT
MAX_SAMPLES = 50
MILLISECONDS_APART = 100  # longer latencies are counted together


class Client:
    """One client: at most one request at a time. `serial` tells the requests of a client apart."""

    __slots__ = ("began_at", "buffer", "expected", "reused", "serial", "sock", "unsent")

    def __init__(self) -> None:
        self.sock: socket.socket | None = None
        self.began_at = 0.0
        self.buffer = b""
        self.expected = 0
        self.reused = False
        self.serial = 0
        self.unsent = False


class Generator:
    """Keeps `plan.clients` requests going until the bound is reached or the stop descriptor is readable."""

    def __init__(self, plan: Plan, progress: mmap.mmap | None = None) -> None:
        self.plan = plan
        self.report = Report()
        self._request = encode_request(plan)
        self._family = socket.AF_UNIX if isinstance(plan.address, str) else family_of(plan.address[0])
        self._progress = progress
        self._epoll = select.epoll()
        self._clients: dict[int, Client] = {}
        self._deadlines: deque[tuple[float, Client, int]] = deque()
        self._deferred: deque[tuple[float, Client]] = deque()
        self._latencies = array("d")
        self._begun = 0
        self._in_flight = 0
        self._stopping = False
        self._started_at = self._last_ok_at = 0.0

    def run(self, stop_fd: int = -1) -> Report:
        """Generate the load; requests that are in flight at the stop are completed.

        Args:
            stop_fd: readable or at EOF means stop; -1: only the bounds of the plan stop it.
        """
        if stop_fd >= 0:
            self._epoll.register(stop_fd, select.EPOLLIN)
        self._started_at = self._last_ok_at = time.perf_counter()
        for _ in range(self.plan.clients):
            self._begin(Client())
        while self._in_flight or (self._deferred and not self._stopping):
            self._turn(stop_fd)
        return self._finish()

    def _turn(self, stop_fd: int) -> None:
        for fd, events in self._epoll.poll(self._wait_time()):
            client = self._clients.get(fd)
            if client is not None:
                self._advance(client, events)
            elif fd == stop_fd:
                self._stopping = True
                self._epoll.unregister(stop_fd)
        now = time.perf_counter()
        self._expire(now)
        while self._deferred and (self._deferred[0][0] <= now or self._stopping):
            self._begin(self._deferred.popleft()[1])
        if self.plan.seconds and now - self._started_at >= self.plan.seconds:
            self._stopping = True

    def _wait_time(self) -> float:
        return REFUSED_PAUSE if self._deferred else IDLE_WAIT

    def _may_begin(self) -> bool:
        return not self._stopping and not (self.plan.requests and self._begun >= self.plan.requests)

    def _begin(self, client: Client) -> None:
        """Send the client's next request, or let the client go when the bound is reached."""
        if not self._may_begin():
            self._close(client)
            return
        self._begun += 1
        self._in_flight += 1
        client.serial += 1
        client.buffer = b""
        client.expected = 0
        client.began_at = time.perf_counter()
        self._deadlines.append((client.began_at + self.plan.timeout, client, client.serial))
        client.reused = client.sock is not None
        if client.sock is not None or self._connect(client):
            self._send(client)

    def _connect(self, client: Client) -> bool:
        sock = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.report.connections += 1
        client.sock = sock
        client.unsent = True
        self._clients[sock.fileno()] = client
        code = sock.connect_ex(self.plan.address)
        if code in (0, errno.EINPROGRESS):
            self._epoll.register(sock.fileno(), EARLIEST_SEND_EVENTS if code else select.EPOLLIN)
            client.unsent = bool(code)
            return code == 0
        self._epoll.register(sock.fileno(), 0)
        # A full backlog of a unix socket is EAGAIN, not a wait as in TCP: the client has to come again.
        self._fail(client, "refused" if code in (errno.ECONNREFUSED, errno.EAGAIN, errno.ENOENT) else "reset")
        return False

    def _send(self, client: Client) -> None:
        assert client.sock is not None
        try:
            client.sock.send(self._request)
        except OSError as error:
            self._fail(client, kind_of(error))

    def _advance(self, client: Client, events: int) -> None:
        """Go on with a client whose socket is ready."""
        assert client.sock is not None
        if client.unsent:
            code = client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._fail(client, kind_of(OSError(code, "connect")))
                return
            client.unsent = False
            self._epoll.modify(client.sock.fileno(), select.EPOLLIN)
            self._send(client)
            return
        try:
            data = client.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(client, kind_of(error))
            return
        self._receive(client, data)

    def _receive(self, client: Client, data: bytes) -> None:
        client.buffer = client.buffer + data if client.buffer else data
        if not client.expected:
            client.expected = expected_length(client.buffer)
        if is_complete(client.buffer, client.expected, closed=not data):
            self._complete(client)
        elif not data:
            self._fail(client, "closed_early")

    def _complete(self, client: Client) -> None:
        if status_of(client.buffer) // 100 != 2:
            self._fail(client, "bad_status")
            return
        now = time.perf_counter()
        self._in_flight -= 1
        self.report.ok += 1
        took = now - client.began_at
        self._latencies.append(took)
        self.report.slow += 0 < self.plan.slow_after <= took
        silence = (now - self._last_ok_at) * 1000
        self.report.longest_silence_ms = max(self.report.longest_silence_ms, silence)
        self._last_ok_at = now
        self._show_progress()
        # An HTTP/1.1 server that is about to close says so; not heeding it would be the client's mistake.
        if not self.plan.keep_alive or b"connection: close" in client.buffer[:1024].lower():
            self._close(client)
        self._begin(client)

    def _fail(self, client: Client, kind: str) -> None:
        now = time.perf_counter()
        self._in_flight -= 1
        setattr(self.report, kind, getattr(self.report, kind) + 1)
        if len(self.report.failures) < MAX_SAMPLES:
            at, took = client.began_at - self._started_at, now - client.began_at
            self.report.failures.append(Failure(at, kind, took, client.reused))
        self._show_progress()
        client.serial += 1
        self._close(client)
        self._deferred.append((now + REFUSED_PAUSE, client))

    def _close(self, client: Client) -> None:
        if client.sock is not None:
            del self._clients[client.sock.fileno()]
            client.sock.close()
            client.sock = None

    def _expire(self, now: float) -> None:
        while self._deadlines and (self._deadlines[0][0] <= now or self._is_over(self._deadlines[0])):
            _, client, serial = self._deadlines.popleft()
            if client.serial == serial and client.sock is not None:
                self._fail(client, "timeout")

    @staticmethod
    def _is_over(entry: tuple[float, Client, int]) -> bool:
        return entry[1].serial != entry[2]

    def _show_progress(self) -> None:
        if self._progress is not None:
            self._progress[:8] = struct.pack("q", self.report.requests)

    def _finish(self) -> Report:
        self.report.seconds = time.perf_counter() - self._started_at
        ordered = sorted(self._latencies)
        if ordered:
            self.report.p50_ms = ordered[len(ordered) // 2] * 1000
            self.report.p99_ms = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000
            self.report.max_ms = ordered[-1] * 1000
        self.report.by_millisecond = [0] * (MILLISECONDS_APART + 1)
        for latency in ordered:
            self.report.by_millisecond[min(int(latency * 1000), MILLISECONDS_APART)] += 1
        self._epoll.close()
        return self.report


def encode_request(plan: Plan) -> bytes:
    """Return the bytes of the one request that every client sends."""
    close = "" if plan.keep_alive else "connection: close\r\n"
    return f"GET {plan.path} HTTP/1.1\r\nhost: load\r\n{close}\r\n".encode()


def family_of(host: str) -> socket.AddressFamily:
    """Return AF_INET6 for an IPv6 address, else AF_INET."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def kind_of(error: OSError) -> str:
    """Return the outcome that an error of connect, send or recv means.

    Raises:
        OSError: the error is this machine's (no ports, no descriptors), so the run proves nothing.
    """
    if error.errno == errno.ECONNREFUSED:
        return "refused"
    if error.errno in (errno.ECONNRESET, errno.EPIPE):
        return "reset"
    if error.errno == errno.ETIMEDOUT:
        return "timeout"
    raise error


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description="Send requests, say how each one ended.")
    parser.add_argument("address", help="HOST:PORT or the path of a unix socket")
    parser.add_argument("--path", default="/")
    parser.add_argument("--clients", "-c", type=int, default=8)
    parser.add_argument("--keep-alive", "-k", action="store_true")
    parser.add_argument("--requests", "-n", type=int, default=0)
    parser.add_argument("--seconds", "-s", type=float, default=0.0)
    parser.add_argument("--timeout", type=float, default=5.0)
    parser.add_argument("--slow-after", type=float, default=0.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--progress-fd", type=int, default=-1, help="memfd for the count of requests done")
    parser.add_argument("--stop-fd", type=int, default=-1, help="stop when it is readable or at EOF")
    return parser.parse_args()


def parse_address(text: str) -> Address:
    """Return (host, port) of `HOST:PORT` or `[IPV6]:PORT`; a text with a slash is a path."""
    if "/" in text:
        return text
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def main() -> int:
    """Run one load; exit 1 when a request failed."""
    options: dict[str, Any] = vars(parse_arguments())
    as_json, progress_fd, stop_fd = options.pop("json"), options.pop("progress_fd"), options.pop("stop_fd")
    plan = Plan(**options | {"address": parse_address(options["address"])})
    progress = mmap.mmap(progress_fd, 8) if progress_fd >= 0 else None
    report = Generator(plan, progress).run(stop_fd)
    os.write(1, msgspec.json.encode(report) if as_json else f"{report.summary()}\n".encode())
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
