"""A worker process that takes one connection at a time, answers and closes it, as fast as it can, until drained.

Run as `python -m tests.support.one_at_a_time CHANNEL_FD PAGE_FD WAKEUP_FD`: real concurrency with the dispatcher,
for tests of the wake-up between the two.
"""

import os
import select
import socket
import sys

from fastlb.lb.page import WorkerStatus

from tests.support.channel_worker import decode_message


def serve(channel: socket.socket, status: WorkerStatus) -> None:
    """Take and answer until the channel ends."""
    while True:
        select.select([channel], [], [])
        try:
            data, fds, _, _ = socket.recv_fds(channel, 4096, 253)
        except BlockingIOError:
            continue  # the dispatcher took it back
        if not data:
            return
        message = decode_message(data, fds)
        status.record_taken(message.position, len(fds))
        for fd in fds:
            os.write(fd, b"x")
            os.close(fd)
            status.record_closed()
            status.record_busy(-1)


if __name__ == "__main__":
    channel_fd, page_fd, wakeup_fd = map(int, sys.argv[1:])
    serve(socket.socket(fileno=channel_fd), WorkerStatus(page_fd, wakeup_fd))
