"""Owns the turn of each test: beside others, or alone. Runs in the test process, around a whole test.

The processes of a run (pytest-xdist), and runs of the same checkout at the same time, share two files below build/.
A test beside others holds the machine together with them; a test alone waits at the gate, where nobody can
pass it, until the others have ended. The kernel gives both back when a process dies.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"
GATE, MACHINE = BUILD / "tests-gate.lock", BUILD / "tests-machine.lock"


@contextmanager
def turn(alone: bool) -> Iterator[None]:
    """Hold the machine: with every other test that may run beside others, or with nobody."""
    BUILD.mkdir(exist_ok=True)
    with MACHINE.open("w") as machine:
        with GATE.open("w") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
