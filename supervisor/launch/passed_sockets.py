"""Owns how many sockets systemd has passed to this process. Supervisor and the user's shell; imports little."""

import os


def systemd_fd_count() -> int:
    """How many sockets systemd passed to this very process: LISTEN_FDS and LISTEN_PID, sd_listen_fds(3)."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return 0
    count = os.environ.get("LISTEN_FDS", "")
    return int(count) if count.isascii() and count.isdigit() and len(count) <= 4 else 0
