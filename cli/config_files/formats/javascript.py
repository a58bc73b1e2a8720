"""Owns evaluating a configuration file that is JavaScript: by node, in a process that has none of our descriptors.

Runs in the user's shell. What comes back is data, of a bounded size and in a bounded time. The file is code of the
user's, which may do what the user may.
"""

import os
import selectors
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from ....supervisor.errors import FastlbError, UsageError
from ..places import KeyPlaces, Place
from .braces import keys_in_braces
from .errors import NotReadable
from .evaluator import take_evaluator
from .thrown import understood_error

EVALUATION_SECONDS = 10.0
MOST_DATA_BYTES = 1 << 20
MOST_WORDS_BYTES = 1 << 16  # of what the file prints
READ_BYTES = 1 << 16


class _Answer(msgspec.Struct):
    data: Any = None
    refused: str = ""
    thrown: str = ""


def read_javascript(
    text: str, path: str, file: str, *, seconds: float = EVALUATION_SECONDS
) -> tuple[Any, KeyPlaces, str]:
    """Return what the file at `path` exports, where its keys stand, and what it has printed.

    `text`: the same file's. `file`: its name in messages. `seconds`: it may take.

    Raises:
        UsageError: there is no node.
        NotReadable: the file throws, does not end, or exports something else than data.
    """
    said, printed = _run(os.path.abspath(path), file, seconds)
    answer = _understood(said, file, printed)
    if answer.refused:
        raise NotReadable(Place(file), answer.refused)
    if answer.thrown:
        thrown = understood_error(answer.thrown, path, file)
        raise NotReadable(thrown.place, thrown.text, details=thrown.code, stack=answer.thrown)
    return answer.data, KeyPlaces(file, keys_in_braces(text), exact=False), printed


def _understood(said: bytes, file: str, printed: str) -> _Answer:
    try:
        return msgspec.json.decode(said, type=_Answer)
    except msgspec.DecodeError:
        problem = "it has ended node before it had exported anything"
        raise NotReadable(Place(file), problem, details=printed) from None


def _run(path: str, file: str, seconds: float) -> tuple[bytes, str]:
    """Have node evaluate the file at `path`; return what it exports and what it has printed."""
    try:
        evaluator = take_evaluator()
    except FileNotFoundError:
        raise UsageError(
            f"{file} is JavaScript, which node evaluates, and there is no node on PATH: install Node, or write the"
            " settings as TOML, YAML or JSON"
        ) from None
    except OSError as error:
        raise FastlbError(f"{file}: node, which evaluates it, cannot be started: {error.strerror}") from error
    try:
        evaluator.ask(path)
        streams = _Streams({evaluator.data_fd: MOST_DATA_BYTES, evaluator.words_fd: MOST_WORDS_BYTES})
        return _read(streams, file, seconds)
    finally:
        evaluator.end()


class _Streams:
    """What two descriptors say, each up to a number of bytes, the first of them the data."""

    def __init__(self, bounds: Mapping[int, int]) -> None:
        self.bounds = bounds
        self.texts = {fd: bytearray() for fd in bounds}

    def take(self, fd: int) -> bool:
        """Read once; return whether more may come. What is beyond the bound is read and forgotten."""
        chunk = os.read(fd, READ_BYTES)
        room = self.bounds[fd] + 1 - len(self.texts[fd])
        self.texts[fd] += chunk[:room]
        return bool(chunk)


def _read(streams: _Streams, file: str, seconds: float) -> tuple[bytes, str]:
    """Return data and words when the data has ended: a child of node's may keep the other open."""
    data_fd, words_fd = streams.bounds
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for fd in streams.bounds:
            selector.register(fd, selectors.EVENT_READ)
        while data_fd in selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                problem = f"node has not done with it in {seconds:g} s: it waits for something, or never ends"
                raise NotReadable(Place(file), problem)
            for key, _ in ready:
                if not streams.take(key.fd):
                    selector.unregister(key.fd)
            if len(streams.texts[data_fd]) > MOST_DATA_BYTES:
                raise NotReadable(Place(file), f"it exports more than {MOST_DATA_BYTES >> 20} MiB")
        _take_what_is_there(streams, selector)
    return bytes(streams.texts[data_fd]), streams.texts[words_fd].decode(errors="replace")


def _take_what_is_there(streams: _Streams, selector: selectors.BaseSelector) -> None:
    for _ in range(MOST_WORDS_BYTES // READ_BYTES + 1):
        for key, _mask in selector.select(0):
            if not streams.take(key.fd):
                selector.unregister(key.fd)
