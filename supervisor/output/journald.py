"""Owns what a line is for systemd's journal: its native protocol, fields in one datagram. Pure.

Source: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/, systemd.journal-fields(7). The journal itself adds when it came,
and from which unit.
"""

import struct

from .line_format import Origin

DEFAULT_SOCKET = "/run/systemd/journal/socket"
# syslog(3): informational, error.
PRIORITIES = {"out": b"6", "err": b"3", "access": b"6"}


def encode(origin: Origin, message: bytes) -> bytes:
    """Return the datagram of one message, which may have several lines."""
    fields = (
        (b"MESSAGE", message),
        (b"PRIORITY", PRIORITIES[origin.stream]),
        (b"SYSLOG_IDENTIFIER", origin.app.encode()),
        (b"SYSLOG_PID", b"%d" % origin.pid),
        (b"FASTLB_APP", origin.app.encode()),
        (b"FASTLB_WORKER", b"%d" % origin.worker),
        (b"FASTLB_STREAM", origin.stream.encode()),
    )
    return b"".join(_field(name, value) for name, value in fields)


def _field(name: bytes, value: bytes) -> bytes:
    if b"\n" not in value:
        return b"%b=%b\n" % (name, value)
    return b"%b\n%b%b\n" % (name, struct.pack("<Q", len(value)), value)
