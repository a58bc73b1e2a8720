"""Owns the choice of a port that an app binds later. Runs in the test (or trial) process."""

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

# Below those from which the kernel connects unless told otherwise (ip_local_port_range): no client takes one of them.
PORTS = range(10_000, 32_768)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port of 127.0.0.1 that is free now, and that no other test is given for a long time."""
    while True:
        port = next_port()
        with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def free_pair() -> int:
    """Return a port that is free, as the next one is, and both for a long time: of no other test."""
    first, second = free_port(), free_port()
    while second != first + 1:  # another test had its turn in between, or one is taken
        first, second = second, free_port()
    return first


def next_port() -> int:
    """Return the port whose turn it is: all tests of a user share the turn, whichever run they belong to."""
    path = Path(tempfile.gettempdir(), f"fastlb-test-port-{os.getuid()}")
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        last = int(file.read() or random.randrange(len(PORTS)))
        turn = (last + 1) % len(PORTS)
        file.seek(0)
        file.truncate()
        file.write(str(turn))
    return PORTS[turn]
