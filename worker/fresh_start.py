"""Owns the second try of an import that needs a running event loop: the same worker, as a fresh process.

Runs in workers, in the main thread, never once they serve. An app is imported without a running loop, as by the
servers that WSGI apps are written for. What cannot be imported so is imported again inside the loop, after exec(2):
same pid, same channels, nothing of the first try but what it did outside of the process.
"""

import asyncio
import os
import sys
from collections.abc import Iterable
from typing import NoReturn

import msgspec

from .wire import WorkerConfig

# What asyncio and sniffio (for anyio) say to code that wants a loop and finds none.
NO_LOOP = ("no running event loop", "There is no current event loop", "unknown async library")


class FreshStart:
    """How this process was started, before an app changed anything.

    Args:
        fds: descriptors that the worker was started with; borrowed.
    """

    def __init__(self, fds: Iterable[int]) -> None:
        self._fds = tuple(fds)
        self._directory = os.getcwd()
        self._environment = dict(os.environ)

    def again(self, config: WorkerConfig) -> NoReturn:
        """Become a fresh process that reads `config` from a descriptor and imports the app inside the loop."""
        config_fd = os.memfd_create("fastlb-config")
        with os.fdopen(config_fd, "wb", closefd=False) as file:
            file.write(msgspec.json.encode(config))
        for fd in (*self._fds, config_fd):
            os.set_inheritable(fd, True)
        os.chdir(self._directory)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [*sys.orig_argv, str(config_fd)], self._environment)


def read_config(config_fd: int) -> WorkerConfig:
    """Return what `again` left in `config_fd`, and close it."""
    with os.fdopen(config_fd, "rb") as file:
        file.seek(0)
        return msgspec.json.decode(file.read(), type=WorkerConfig)


def wants_loop(error: BaseException | None) -> bool:
    """Say whether `error`, or what it came from, is the complaint of code that there is no running event loop."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        if isinstance(error, RuntimeError) and str(error).startswith(NO_LOOP):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def has_current_loop() -> bool:
    """Say whether a loop was set as this thread's current one, or made because somebody asked for it."""
    policy = asyncio.get_event_loop_policy()
    return getattr(getattr(policy, "_local", None), "_loop", None) is not None
