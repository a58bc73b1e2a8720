"""Owns how it is seen that a supervisor ended without having been stopped, and what is known of its end.

Runs in the user's shell. A supervisor that ends removes its control socket while it still holds its lock: a socket
without a lock is what a killed one, or a machine that went down, has left.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from ..regular_file import read_regular
from ..safe_text import escape_line
from .app_lock import AppLock, is_running
from .paths import AppPaths

LAST_WORDS_BYTES = 4096


def has_died(paths: AppPaths) -> bool:
    """Whether the last supervisor of this app was killed, or went down with the machine. Changes nothing.

    Raises:
        FastlbError: the lock cannot be opened.
    """
    # In this order: one that ends meanwhile, or begins, is not taken for a dead one.
    return paths.control_socket.is_socket() and not is_running(paths) and paths.control_socket.is_socket()


def describe_death(paths: AppPaths) -> str:
    """Return a sentence with what is known of the end of an app for which `has_died` holds."""
    last_event = _last_event(paths.supervisor_log)
    last_words = f"; the last that it wrote: {last_event}" if last_event else ""
    name = paths.name
    return (
        f"{name} was not stopped: its supervisor{_pid(paths.lock)} {_cause(paths.lock)}{last_words};"
        f" `fastlb start {name}` starts it again"
    )


def forget_death(paths: AppPaths, clean_up: Callable[[], object]) -> bool:
    """Make a died app a stopped one; return whether it was a died one.

    `clean_up` is called while nobody can start it.

    Raises:
        FastlbError: the lock cannot be opened.
    """
    if not has_died(paths):
        return False
    with contextlib.suppress(FileNotFoundError):
        lock = AppLock.acquire(paths)
        if lock is None:
            return False
        try:
            clean_up()
            paths.control_socket.unlink(missing_ok=True)
            paths.remove_notify_sockets()
        finally:
            lock.release()
    return True


def _pid(lock: Path) -> str:
    with contextlib.suppress(OSError, IndexError):
        pid = read_regular(lock).split()[0]
        if pid.isdigit():
            return f" (pid {pid.decode()})"
    return ""


def _cause(lock: Path) -> str:
    with contextlib.suppress(OSError):
        if lock.stat().st_mtime < _booted_at():  # it was written when the app was started
            return "went down with the machine"
    return "was killed"


def _booted_at() -> float:
    """Return when the machine was started, in seconds since the epoch: proc_stat(5); 0: not known."""
    lines = Path("/proc/stat").read_text().splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith("btime ")), 0.0)


def _last_event(log: Path) -> str:
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LAST_WORDS_BYTES))
            lines = file.read(LAST_WORDS_BYTES).split(b"\n")
    except OSError:
        return ""
    words = [line for line in lines if line.strip()]
    return escape_line(words[-1].decode(errors="replace"))[:200] if words else ""
