"""Owns what a line is for syslog on its local socket: `<30>Mar  1 15:04:05 shop/3[4711]: text`. Runs in the supervisor.

Source: RFC 3164, and syslog(3), which leaves the host out on a local socket. App and worker are the tag, as in
`postfix/smtpd`; the stream is the severity.
"""

import time

from . import wall_clock
from .line_format import Origin

DEFAULT_SOCKET = "/dev/log"
DAEMON = 3 << 3
SEVERITIES = {"out": 6, "err": 3, "access": 6}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def encode(origin: Origin, message: bytes) -> bytes:
    """Return the datagram of one message, with the time of now."""
    now = time.localtime(wall_clock.now())
    stamp = f"{MONTHS[now.tm_mon - 1]} {now.tm_mday:2} {now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
    head = f"<{DAEMON | SEVERITIES[origin.stream]}>{stamp} {origin.app}/{origin.worker}[{origin.pid}]: "
    return head.encode() + message
