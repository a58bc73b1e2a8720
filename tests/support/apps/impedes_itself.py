"""An ASGI app that harms its own worker: /limit lowers the limit of descriptors, /nonsense fills the worker's lines of
its status page. Runs in a worker; says who answers.
"""

import mmap
import os
import resource
from pathlib import Path

from asgi_probe import Message, Receive, Send

DESCRIPTORS_LEFT = 4
PAGE_BYTES, CACHE_LINE = 4096, 64


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Answer one request."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/limit":
        open_fds = len(list(Path("/proc/self/fd").iterdir()))
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_fds + DESCRIPTORS_LEFT, open_fds + DESCRIPTORS_LEFT))
    elif scope["path"] == "/nonsense":
        with mmap.mmap(page_fd(), PAGE_BYTES) as page:
            page[CACHE_LINE : 2 * CACHE_LINE] = os.urandom(8) + bytes([255]) * 8 + bytes(CACHE_LINE - 16)
    body = str(os.getpid()).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def page_fd() -> int:
    """Return the descriptor of the worker's status page."""
    fds = {entry.name: os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()}
    return next(int(fd) for fd, name in fds.items() if "fastlb-worker" in name)
