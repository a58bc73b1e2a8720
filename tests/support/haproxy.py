"""Owns the start of a real HAProxy on a configuration. Runs in the test process."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .waiting import scaled


def haproxy_command() -> str:
    """Return where haproxy is: on this machine, or where `make test` unpacks it (.ci/unpack-haproxy). Skips without."""
    places = (None, "/usr/sbin", str(Path(sys.prefix) / "bin"))
    found = next((path for place in places if (path := shutil.which("haproxy", path=place))), None)
    if found is None:
        pytest.skip("no haproxy here, and .ci/unpack-haproxy could not get one")
    return found


@contextmanager
def running_haproxy(configuration: str, directory: Path) -> Iterator[None]:
    """Run HAProxy in the foreground for the length of the block."""
    path = directory / "haproxy.cfg"
    path.write_text(configuration)
    process = subprocess.Popen([haproxy_command(), "-db", "-f", str(path)], stdin=subprocess.DEVNULL)
    try:
        yield
        assert process.poll() is None, "haproxy has ended"
    finally:
        process.terminate()
        try:
            process.wait(timeout=scaled(10))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
