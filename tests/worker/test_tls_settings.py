"""Files of TLS that cannot be used are named with the cause before the app is imported; client certificates; ALPN."""

import contextlib
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fastlb.worker.wire import EXIT_STARTUP_FAILED, StartupFailed

from tests.support.raw_http import RawClient, get
from tests.support.tls import certificate, client_context
from tests.support.worker_process import serving_worker, started_worker

WSGI = """
print("imported", flush=True)

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""
ASGI = """
print("imported", flush=True)

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""
SOURCES = {"wsgi": WSGI, "asgi": ASGI}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> str:
    return SOURCES[request.param]


def encrypted_key(directory: Path) -> str:
    """Return the path of the test's key, encrypted with the password `secret`."""
    key = directory / "encrypted.pem"
    command = ["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", str(certificate().key), "-out", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return str(key)


def files(**changed: Any) -> dict[str, Any]:
    """Return settings of TLS."""
    return {"ssl_certfile": str(certificate().certificate), "ssl_keyfile": str(certificate().key), **changed}


def refusal(directory: Path, source: str, settings: dict[str, Any]) -> str:
    """Return why a worker does not start; checks that the app was not imported."""
    with started_worker(directory, source, **settings) as worker:
        report = worker.report()
        assert isinstance(report, StartupFailed)
        assert worker.wait_exit() == EXIT_STARTUP_FAILED
        assert (report.usage, "imported" in worker.read_output()) == (True, False)
        assert "Traceback" not in worker.read_output()
        return report.reason


def test_file_that_cannot_be_used_is_named_with_the_cause(tmp_path: Path, source: str) -> None:
    other = tmp_path / "other.pem"
    other.write_text("nothing")
    missing = "No such file or directory"
    assert refusal(tmp_path, source, files(ssl_certfile="/no/cert")) == f"--ssl-certfile /no/cert: {missing}"
    assert refusal(tmp_path, source, files(ssl_keyfile="/no/key")) == f"--ssl-keyfile /no/key: {missing}"
    assert f"{other}: there is no certificate in PEM form" in refusal(tmp_path, source, files(ssl_certfile=str(other)))
    assert f"{other}: there is no private key in PEM form" in refusal(tmp_path, source, files(ssl_keyfile=str(other)))


def test_encrypted_key_needs_its_password(tmp_path: Path, source: str) -> None:
    encrypted = files(ssl_keyfile=encrypted_key(tmp_path))
    assert "the key is encrypted; give --ssl-keyfile-password" in refusal(tmp_path, source, encrypted)
    wrong = {**encrypted, "ssl_keyfile_password": "wrong"}
    assert "--ssl-keyfile-password does not open the key" in refusal(tmp_path, source, wrong)
    right = {**encrypted, "ssl_keyfile_password": "secret"}
    with serving_worker(tmp_path, source, **right) as worker:
        secure = client_context().wrap_socket(worker.connect(), server_hostname="test")
        with RawClient(secure) as client:
            assert client.send(get("/")).response().status == 200


def test_client_certificate_is_asked_for(tmp_path: Path, source: str) -> None:
    assert "--ssl-cert-reqs needs --ssl-ca-certs" in refusal(tmp_path, source, files(ssl_cert_reqs=2))
    settings = files(ssl_cert_reqs=2, ssl_ca_certs=str(certificate().certificate))
    with serving_worker(tmp_path, source, **settings) as worker:
        # Without one the handshake fails, which a client may notice by an alert or by the end alone.
        with (
            contextlib.suppress(ssl.SSLError, ConnectionError),
            client_context().wrap_socket(worker.connect(), server_hostname="test") as refused,
        ):
            refused.sendall(get("/"))
            assert refused.recv(1000) == b""
        context = client_context()
        context.load_cert_chain(certificate().certificate, certificate().key)
        with RawClient(context.wrap_socket(worker.connect(), server_hostname="test")) as client:
            assert client.send(get("/")).response().status == 200


def test_alpn_is_negotiated(tmp_path: Path, source: str) -> None:
    context = client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        serving_worker(tmp_path, source, **files()) as worker,
        context.wrap_socket(worker.connect(), server_hostname="test") as client,
    ):
        assert client.selected_alpn_protocol() == "http/1.1"
