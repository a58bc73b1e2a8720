"""Owns the ledger: how many requests a worker began and ended, on disk, so that a kill -9 forgets nothing.

Runs in a worker. One file a process in FASTLB_TEST_LEDGER; "+" begun, "-" ended, one write(2) each.
"""

import os

_directory = os.environ.get("FASTLB_TEST_LEDGER", "")
_flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
_fd = os.open(f"{_directory}/{os.getpid()}", _flags, 0o600) if _directory else -1


def note_begun() -> None:
    """A request is being processed."""
    if _fd >= 0:
        os.write(_fd, b"+")


def note_ended() -> None:
    """Its response has been given to the server."""
    if _fd >= 0:
        os.write(_fd, b"-")
