"""Owns the format of a file in which prometheus-client counts for one process: reading one, and writing one.

A worker may have written anything, and may put another file in its place at any moment: a file is opened once, and what
was read is all that is looked at. Runs in the supervisor process, in threads.
"""

import contextlib
import json
import os
import stat
import struct
from pathlib import Path

MOST_BYTES = 16 << 20  # of a file
PAIR_BYTES = 28  # of a value in a file, besides its key

_HEAD, _LENGTH, _VALUE = struct.Struct("ii"), struct.Struct("i"), struct.Struct("dd")

Pair = tuple[float, float]  # a value, and when it was set
Values = dict[str, Pair]  # by key


class TooLarge(Exception):
    """A file has more than MOST_BYTES; it is named."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is left out: it is above {MOST_BYTES >> 20} MiB")


def values_in(path: Path) -> Values | None:
    """Return what a file holds; None: it is no whole file of prometheus-client's.

    Raises:
        TooLarge: nobody reads that much.
    """
    try:
        data = _used_bytes(path)
        values = unpacked(data)
        return values if all(_is_key(key) for key in values) else None
    except TooLarge:
        raise
    except Exception:  # noqa: BLE001 - a worker may have written anything
        return None


def unpacked(data: bytes) -> Values:
    """Return the values of the used part of a file.

    Raises:
        ValueError, struct.error: it is none.
    """
    values: Values = {}
    at = _HEAD.size
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        if length < 0:
            raise ValueError("a key has no length below nothing")
        key = data[at + _LENGTH.size : at + _LENGTH.size + length].decode()
        at += _LENGTH.size + length + _padding(length)
        values[key] = _VALUE.unpack_from(data, at)
        at += _VALUE.size
    return values


def packed(values: Values) -> bytes:
    """Return a file in prometheus-client's format (mmap_dict.py)."""
    data = bytearray(_HEAD.size)
    for key, pair in values.items():
        text = key.encode()
        data += _LENGTH.pack(len(text)) + text + b" " * _padding(len(text)) + _VALUE.pack(*pair)
    _HEAD.pack_into(data, 0, len(data), 0)
    return bytes(data)


def size_of(values: Values) -> int:
    """Return about how many bytes values have in a file."""
    return sum(map(len, values)) + PAIR_BYTES * len(values)


def replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and not by a map as the library does: a full disk would end this process.

    Raises:
        OSError: it is as it was.
    """
    partial = path.with_suffix(".part")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def _used_bytes(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb", buffering=0) as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path.name} is no file")
        if status.st_size > MOST_BYTES:
            raise TooLarge(path.name)
        used, _ = _HEAD.unpack(os.pread(fd, _HEAD.size, 0))
        data = file.read(min(used, MOST_BYTES)) if used > 0 else b""
    if len(data) != used:
        raise ValueError(f"{path.name} is not whole")
    return data


def _padding(length: int) -> int:
    return 8 - (length + _LENGTH.size) % 8


def _is_key(text: str) -> bool:
    family, name, labels, meaning = json.loads(text)
    if "le" in labels:
        float(labels["le"])  # as whoever joins them reads it
    return isinstance(labels, dict) and all(isinstance(one, str) for one in (family, name, meaning, *labels.values()))
