"""Owns evaluating a configuration file that is JavaScript: by node, in a process that has none of our descriptors.

Runs in the user's shell. What comes back is data, of a bounded size and in a bounded time. The file is code of the
user's, which may do what the user may.
"""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ....supervisor.errors import UsageError
from ....supervisor.processes.environment import without_node_channel
from ..places import KeyPlaces, Place
from .braces import keys_in_braces
from .errors import NotReadable

EVALUATOR = Path(__file__).with_name("evaluate.cjs")
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
    node = shutil.which("node")
    if not node:
        raise UsageError(
            f"{file} is JavaScript, which node evaluates, and there is no node on PATH: install Node, or write the"
            " settings as TOML, YAML or JSON"
        )
    said, printed = _run([node, str(EVALUATOR), os.path.abspath(path)], file, seconds)
    answer = _understood(said, file, printed)
    if answer.refused:
        raise NotReadable(Place(file), answer.refused)
    if answer.thrown:
        raise NotReadable(Place(file), "node could not evaluate it", details=answer.thrown)
    return answer.data, KeyPlaces(file, keys_in_braces(text), exact=False), printed


def _understood(said: bytes, file: str, printed: str) -> _Answer:
    try:
        return msgspec.json.decode(said, type=_Answer)
    except msgspec.DecodeError:
        problem = "it has ended node before it had exported anything"
        raise NotReadable(Place(file), problem, details=printed) from None


def _run(command: list[str], file: str, seconds: float) -> tuple[bytes, str]:
    """Run node, and return what it wrote to the descriptor that its last argument names, and what it printed."""
    data_read, data_write = os.pipe()
    with open(data_read, "rb", buffering=0) as data:
        try:
            process = _spawn([*command, str(data_write)], data_write)
        finally:
            os.close(data_write)
        assert process.stdout
        with process.stdout as words, _ended(process):
            return _read(_Streams({data.fileno(): MOST_DATA_BYTES, words.fileno(): MOST_WORDS_BYTES}), file, seconds)


def _spawn(command: list[str], data_write: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(data_write,),
        start_new_session=True,
        env=without_node_channel(os.environ),
    )


@contextlib.contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Any:
    """End what the file has started, too, whatever happens."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


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
