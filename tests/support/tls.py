"""Owns a self-signed certificate for tests of TLS. Runs in the test process; made by the openssl command,
once.
"""

import functools
import ssl
import subprocess
import tempfile
from pathlib import Path

import msgspec

REQUEST = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
    "-days 2 -subj /CN=test -addext subjectAltName=DNS:test"
)


class TestCertificate(msgspec.Struct, frozen=True):
    """Paths of a certificate for the name `test` and its key, PEM."""

    __test__ = False
    certificate: Path
    key: Path


@functools.cache
def certificate() -> TestCertificate:
    """Return the certificate of this test run."""
    directory = Path(tempfile.mkdtemp(prefix="fastlb-test-tls-"))
    made = TestCertificate(directory / "certificate.pem", directory / "key.pem")
    subprocess.run(
        [*REQUEST.split(), "-out", str(made.certificate), "-keyout", str(made.key)],
        check=True,
        capture_output=True,
    )
    return made


def client_context() -> ssl.SSLContext:
    """Return a context that trusts the certificate of this test run."""
    return ssl.create_default_context(cafile=str(certificate().certificate))
