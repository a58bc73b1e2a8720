"""Owns the start of a real HAProxy on a configuration. Runs in the test process."""

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from .waiting import scaled, wait_until


def haproxy_command() -> str:
    """Return where haproxy is: on this machine, or where `make test` unpacks it (.ci/unpack-haproxy). Skips without."""
    places = (None, "/usr/sbin", str(Path(sys.prefix) / "bin"))
    found = next((path for place in places if (path := shutil.which("haproxy", path=place))), None)
    if found is None:
        pytest.skip("no haproxy here, and .ci/unpack-haproxy could not get one")
    return found


def accepts(port: int) -> bool:
    """Say whether something listens on a port of this host."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=scaled(5)).close()
    except OSError:
        return False
    return True


@contextmanager
def running_haproxy(configuration: str, directory: Path) -> Iterator[None]:
    """Run HAProxy in the foreground for the length of the block, which begins when it listens."""
    path = directory / "haproxy.cfg"
    path.write_text(configuration)
    process = subprocess.Popen([haproxy_command(), "-db", "-f", str(path)], stdin=subprocess.DEVNULL)
    ports = [int(port) for port in re.findall(r"^\s*bind .*:(\d+)", configuration, re.MULTILINE)]
    try:
        for port in ports:
            wait_until(partial(accepts, port), f"HAProxy listens on {port}", timeout=10)
        yield
        assert process.poll() is None, "haproxy has ended"
    finally:
        process.terminate()
        try:
            process.wait(timeout=scaled(10))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
