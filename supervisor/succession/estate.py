"""Owns what a supervisor leaves its successor at the moment of the take-over. Runs in the supervisor process.

What a request says is as old as the successor's start, which may have taken minutes. So both have a file without a
name, which the one fills before it says "take over" and the other reads after it; each room has a part there, of
which nothing is known here. A successor that is older than this file does not look at it.
"""

import os
from collections.abc import Mapping

import msgspec

from ..errors import FastlbError

MOST_BYTES = 16 << 20


def new_estate() -> int:
    """Return the descriptor of an empty estate, close-on-exec; the caller owns it.

    Raises:
        FastlbError: no descriptors are left.
    """
    try:
        return os.memfd_create("fastlb-estate", os.MFD_CLOEXEC)
    except OSError as error:
        raise FastlbError(f"cannot pass on what is known: {error.strerror}: see `ulimit -n`") from error


def write_estate(fd: int, parts: Mapping[str, bytes]) -> None:
    """Leave parts, each one JSON value, by the name of its room.

    Raises:
        FastlbError: they do not fit: memory, or the limit of a file's size, which holds for a memfd, too.
    """
    content = msgspec.json.encode({room: msgspec.Raw(part) for room, part in parts.items()})
    written = 0
    try:
        while written < len(content):
            written += os.pwrite(fd, content[written:], written)
    except OSError as error:
        raise FastlbError(f"cannot pass on what is known: {error.strerror}: see `ulimit -f`") from error


def read_estate(fd: int) -> dict[str, bytes]:
    """Return the parts that were left, by the names of their rooms; none from who has left nothing that is readable.

    The descriptor is closed; -1: the predecessor is too old to have one.
    """
    if fd < 0:
        return {}
    try:
        parts = msgspec.json.decode(os.pread(fd, MOST_BYTES, 0), type=dict[str, msgspec.Raw])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
    finally:
        os.close(fd)
    return {room: bytes(part) for room, part in parts.items()}
