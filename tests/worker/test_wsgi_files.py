"""wsgi.file_wrapper: real files go out without the app's thread, anything else block by block."""

import contextlib
import gzip
import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw_http import CutShort, RawClient, get, request
from tests.support.waiting import wait_until
from tests.support.wsgi_probe import Probe, hello, serving_probe

CONTENT = os.urandom(3_000_000)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    directory = tmp_path_factory.mktemp("tls")
    key, certificate = str(directory / "key.pem"), str(directory / "cert.pem")
    options = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        "/CN=localhost",
    ]
    command = ["openssl", "req", "-x509", *options, "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module", params=["plain", "tls"])
def probe(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificate: tuple[str, str]
) -> Iterator[Probe]:
    directory = tmp_path_factory.mktemp("probe")
    (directory / "content").write_bytes(CONTENT)
    (directory / "small").write_bytes(CONTENT[:1000])
    (directory / "noting").write_bytes(CONTENT[:200_000])
    (directory / "packed.gz").write_bytes(gzip.compress(b"unpacked" * 1000))
    secure = request.param == "tls"
    files: dict[str, Any] = {"ssl_certfile": certificate[0], "ssl_keyfile": certificate[1]} if secure else {}
    with serving_probe(directory, **files) as probe:
        yield TlsProbe(probe.worker, directory) if secure else probe


class TlsProbe(Probe):
    """Its clients speak TLS."""

    def client(self, sent: bytes = b"") -> RawClient:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return RawClient(context.wrap_socket(self.worker.connect())).send(sent)


def test_url_scheme_is_that_of_the_connection(probe: Probe) -> None:
    expected = b"https" if isinstance(probe, TlsProbe) else b"http"
    assert b'"wsgi.url_scheme": "%b"' % expected in probe.ask(get("/environ")).body


def test_client_that_does_not_finish_its_handshake_is_not_busy(probe: Probe) -> None:
    with RawClient(probe.worker.connect()):
        probe.wait_busy(0)
        hello(probe)


@pytest.mark.parametrize(
    ("name", "offset", "length"),
    [("content", 0, ""), ("content", 1234, ""), ("content", 5, "2000000"), ("small", 10, "")],
)
def test_file_arrives_from_its_position_on(probe: Probe, name: str, offset: int, length: str) -> None:
    whole = CONTENT if name == "content" else CONTENT[:1000]
    expected = whole[offset:][: int(length) if length else None]
    with probe.client(get(f"/file/{name}/{offset}?{length}") + get("/hello")) as client:
        response = client.response()
        assert response.body == expected
        assert response.header("content-length") == str(len(expected))
        assert client.response().body == b"hello"
    wait_until(lambda: not open_files(probe), "the worker has closed the file")


def open_files(probe: Probe) -> list[str]:
    links: list[str] = []
    for entry in Path(f"/proc/{probe.worker.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed by now
            links.append(os.readlink(entry))
    return [link for link in links if link.startswith(str(probe.directory)) and "output" not in link]


def test_slow_reader_of_a_file_holds_no_thread(probe: Probe) -> None:
    with probe.client(get("/file/content/0")) as slow:
        slow.read_exactly(1000)
        probe.wait_busy(0)
        hello(probe)
    wait_until(lambda: not open_files(probe), "the worker has closed the file")


def test_head_of_a_file_sends_nothing_of_it(probe: Probe) -> None:
    with probe.client(request("HEAD", "/file/content/0") + get("/hello")) as client:
        client.response(head=True)
        assert client.response().body == b"hello"
    wait_until(lambda: not open_files(probe), "the worker has closed the file")


def test_object_that_is_no_file_is_read_and_closed(probe: Probe) -> None:
    probe.forget_notes()
    assert probe.ask(get("/file/noting/0")).body == CONTENT[:200_000]
    probe.wait_note("closed")


def test_compressing_file_is_read_not_sent_as_it_lies_on_disk(probe: Probe) -> None:
    assert probe.ask(get("/gzip_file")).body == b"unpacked" * 1000


def test_file_shorter_than_its_content_length_ends_the_connection(probe: Probe) -> None:
    with probe.client(get("/file/content/0?4000000")) as client, pytest.raises(CutShort):
        client.response()


def test_certificate_that_is_none_fails_the_start(tmp_path: Path) -> None:
    from fastlb.worker.wire import StartupFailed

    from tests.support.worker_process import started_worker

    (tmp_path / "cert.pem").write_text("nothing")
    with started_worker(
        tmp_path, "app = lambda e, s: []", interface="wsgi", ssl_certfile=str(tmp_path / "cert.pem")
    ) as w:
        report = w.report()
        assert isinstance(report, StartupFailed)
        assert "certificate" in report.reason
        assert w.wait_exit() == 3


def test_file_that_shrinks_while_it_is_sent_ends_the_connection(probe: Probe) -> None:
    path = probe.directory / "shrinking"
    path.write_bytes(CONTENT * 10)
    with probe.client(get("/file/shrinking/0")) as client:
        client.read_until(b"\r\n\r\n")
        path.write_bytes(b"")
        assert len(client.rest()) < 10 * len(CONTENT)
    hello(probe)
