"""Lines that go elsewhere than to the usual files: log daemons on real sockets, a file for the access log, stdout."""

import json
import re
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastlb.supervisor.output import journald, syslog
from fastlb.supervisor.output.datagram_log import DatagramLog
from fastlb.supervisor.output.event_log import EventLog
from fastlb.supervisor.output.line_format import Origin

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import scaled, wait_until

ORIGIN = Origin("shop", 3, 4711, "err")


class Daemon:
    """A log daemon: a datagram socket at a path, and what came there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(scaled(10))

    def receive(self) -> bytes:
        """Return the next message, also one that comes as a file."""
        data, fds, _, _ = socket.recv_fds(self._socket, 1 << 20, 1)
        for fd in fds:
            with open(fd, "rb") as file:
                file.seek(0)
                data += file.read()
        return data

    def receive_until(self, text: bytes) -> bytes:
        """Return the first message that contains a text."""
        while text not in (message := self.receive()):
            pass
        return message

    def close(self) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path / "daemon.sock")
    yield daemon
    daemon.close()


def fields_of(message: bytes) -> dict[str, bytes]:
    """Take a message of journald's native protocol apart."""
    fields = {}
    while message:
        line, _, message = message.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", message[:8])
            value, message = message[8 : 8 + length], message[9 + length :]
        fields[name.decode()] = value
    return fields


def test_journald_gets_fields(fastlb: Fastlb, daemon: Daemon) -> None:
    options = ("--log-target", "journald", "--log-socket", str(daemon.path), "--workers", "1")
    app = fastlb.start("asgi_probe:app", *options)
    (pid,) = app.worker_pids
    app.get("/print?apple")
    assert fields_of(daemon.receive_until(b"apple\nPRIORITY=6")) == {
        "MESSAGE": b"apple",
        "PRIORITY": b"6",
        "SYSLOG_IDENTIFIER": b"app",
        "SYSLOG_PID": b"%d" % pid,
        "FASTLB_APP": b"app",
        "FASTLB_WORKER": b"0",
        "FASTLB_STREAM": b"out",
    }
    assert not list((fastlb.home / "logs").glob("app-out*"))


def test_syslog_gets_lines_with_a_tag(fastlb: Fastlb, daemon: Daemon) -> None:
    options = ("--log-target", "syslog", "--log-socket", str(daemon.path), "--workers", "1")
    app = fastlb.start("asgi_probe:app", *options)
    (pid,) = app.worker_pids
    app.get("/print?apple")
    message = daemon.receive_until(b"apple").decode()
    assert re.fullmatch(rf"<(30|27)>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d app/0\[{pid}\]: apple", message)


def test_message_of_several_lines_is_one_field(daemon: Daemon, tmp_path: Path) -> None:
    log = EventLog(None)
    sink = DatagramLog(str(daemon.path), journald.encode, log, is_whole=True)
    sink.append(ORIGIN, b"one\n  two\n")
    fields = fields_of(daemon.receive())
    assert (fields["MESSAGE"], fields["PRIORITY"]) == (b"one\n  two", b"3")
    sink.close()


def test_message_that_no_datagram_holds_is_sent_as_a_file(daemon: Daemon) -> None:
    sink = DatagramLog(str(daemon.path), journald.encode, EventLog(None), is_whole=True)
    sink._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sink.append(ORIGIN, b"x" * 100_000 + b"\n")
    assert fields_of(daemon.receive())["MESSAGE"] == b"x" * 100_000
    assert sink.lost_lines() == {}
    sink.close()


def test_daemon_that_is_away_for_a_while_is_told_what_it_has_missed(tmp_path: Path) -> None:
    seen: list[bytes] = []
    daemon = Daemon(tmp_path / "log")
    sink = DatagramLog(str(daemon.path), syslog.encode, EventLog(None, seen.append))
    daemon.close()
    sink.append(ORIGIN, b"one\ntwo\n")
    daemon = Daemon(tmp_path / "log")
    sink.append(ORIGIN, b"three\n")
    assert b"[fastlb] 2 lines were lost here" in daemon.receive()
    assert daemon.receive().endswith(b": three")
    assert sink.lost_lines() == {str(daemon.path): 2}
    assert any(b"log_resumed" in event and b"lost_lines=2" in event for event in seen)
    sink.close()
    daemon.close()


def test_daemon_that_does_not_listen_fails_the_start(fastlb: Fastlb, tmp_path: Path) -> None:
    options = ("--log-target", "journald", "--log-socket", str(tmp_path / "nobody"))
    result = fastlb.try_start("asgi_probe:app", *options)
    assert result.returncode == 1
    assert f"no log daemon listens at {tmp_path}/nobody" in result.stderr
    assert fastlb.try_start("asgi_probe:app", "--log-target", "stdout").returncode == 2


@pytest.mark.parametrize("target", ["asgi_probe:app", "wsgi_probe:app"])
def test_access_log_has_a_file_of_its_own(fastlb: Fastlb, tmp_path: Path, target: str) -> None:
    path = tmp_path / "access.log"
    options = ("--access-file", str(path), "--access-log-format", "%(m)s %(s)s", "--workers", "1")
    app = fastlb.start(target, *options)
    app.get("/print?apple")
    wait_until(lambda: path.read_text() == "GET 200\n", "the request is in the access log")
    wait_until(lambda: app.log("out") == "apple\n", "what the app prints is where it was")
    assert app.show()["files"]["access_log"] == str(path)


def test_stdout_of_run_gets_everything(fastlb: Fastlb) -> None:
    fastlb.env["PRINTER_LINES"] = "2"
    options = ("--log-target", "stdout", "--log-type", "json", "--workers", "1")
    process = fastlb.popen("run", "printer:app", "--name", "app", "--bind", "127.0.0.1:0", *options)
    wait_until(lambda: [e for e in fastlb.list_json() if e["status"] == "online"], "it is online", 20)
    process.send_signal(signal.SIGTERM)
    written, _ = process.communicate(timeout=scaled(20))
    records = [json.loads(line) for line in written.splitlines()]
    streams = {(record["stream"], record["message"].split()[0]) for record in records if record["message"][4:5] == "0"}
    assert streams == {("out", "out"), ("err", "err")}
