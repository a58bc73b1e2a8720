"""A WSGI app of a stranger: /fill and /fill-and-block bring every eventfd of its worker to the highest count that it
can have; after the second writes to them wait as well, instead of failing. Runs in a worker; says who answers, and on
standard output who has spoilt its own.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

HIGHEST_COUNT = 2**64 - 2  # eventfd(2)

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer one request."""
    if environ["PATH_INFO"] != "/":
        for fd in eventfds():
            with contextlib.suppress(BlockingIOError):  # somebody has written meanwhile
                os.eventfd_write(fd, HIGHEST_COUNT - count_of(fd))
            os.set_blocking(fd, environ["PATH_INFO"] == "/fill-and-block")
        os.write(1, b"spoilt %d\n" % os.getpid())
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def eventfds() -> Iterator[int]:
    """Yield every eventfd of this process."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            if os.readlink(entry) == "anon_inode:[eventfd]":
                yield int(entry.name)


def count_of(fd: int) -> int:
    """Return what has been written to an eventfd and not been read."""
    for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "eventfd-count":
            return int(value, 16)
    raise ValueError(f"{fd} is no eventfd")
