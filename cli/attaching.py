"""Owns a terminal that is attached to programs: its lines go to their standard input, their output is shown.

Runs in the user's shell. It must never end what it is attached to: whoever leaves only hangs up.
"""

import contextlib
import os
import select
import sys
import termios
import threading
from collections.abc import Iterator

from ..supervisor.control.client import ControlClient, NotRunning
from ..supervisor.control.protocol import AppEntry, LogsParams, SendParams
from ..supervisor.errors import FastlbError
from .apps import ANSWER_SECONDS, connected
from .output import Output

LEAVE = b"\x1d"  # ^], as of telnet
READ_BYTES = 4096
# Of a line that somebody types without an end; programs are sent none that is longer.
MOST_BYTES = 64 * 1024


def attach(name: str, worker: int | None) -> str:
    """Show what the processes of an app write, and send them the lines of our standard input; return why it ended.

    `worker`: the one that is meant; None: each. Ends with ^C, ^], the end of the input, or the app.

    Raises:
        FastlbError: the app is stopped, its workers have no standard input, or its supervisor does not answer.
    """
    with _to_supervisor(name) as client:
        entry: AppEntry = client.call("list")
        check_can_attach(entry, worker)
        Output.for_errors().line(f"attached to {_whom(entry, worker)}; ^] or ^C leaves, and the app goes on")
        session = _Session(name, worker)
        with session.showing(client):
            return session.run()


def check_can_attach(entry: AppEntry, worker: int | None) -> None:
    """Raise unless there is something to attach to.

    Raises:
        FastlbError: the message says why not, and what to do.
    """
    if entry.mode == "cluster":
        raise FastlbError(
            f"{entry.name} is served in cluster mode, and its workers have no standard input:"
            f" `fastlb logs {entry.name} --follow` shows what they write"
        )
    if worker is not None and all(known.id != worker for known in entry.workers):
        raise FastlbError(f"{entry.name} has no worker {worker}: `fastlb show {entry.name}` says which there are")


@contextlib.contextmanager
def _to_supervisor(name: str) -> Iterator[ControlClient]:
    try:
        with connected(name, ANSWER_SECONDS) as client:
            yield client
    except NotRunning:
        raise FastlbError(f"{name} is stopped, so there is nothing to attach to: `fastlb start {name}`") from None


def _whom(entry: AppEntry, worker: int | None) -> str:
    if worker is not None:
        return f"worker {worker} of {entry.name}"
    return f"{entry.name}, {len(entry.workers)} processes" if len(entry.workers) > 1 else entry.name


class _Session:
    """One stay. Its output is shown by a thread, which says by a pipe that the app has ended."""

    def __init__(self, name: str, worker: int | None) -> None:
        self._name = name
        self._worker = worker
        self._ended_fd, self._tell_fd = os.pipe()
        self._has_begun = threading.Event()

    @contextlib.contextmanager
    def showing(self, output: ControlClient) -> Iterator[None]:
        """Show the output until the end of the context."""
        thread = threading.Thread(target=self._show, args=(output,), daemon=True)
        thread.start()
        self._has_begun.wait(ANSWER_SECONDS)
        try:
            yield
        finally:
            output.interrupt()
            thread.join(ANSWER_SECONDS)

    def run(self) -> str:
        """Send lines until it is over; return why."""
        typed = b""
        with _leave_key():
            try:
                while True:
                    ready, _, _ = select.select([sys.stdin.fileno(), self._ended_fd], [], [])
                    if self._ended_fd in ready:
                        return "the app has ended"
                    chunk = os.read(sys.stdin.fileno(), READ_BYTES)
                    *lines, typed = (typed + chunk).split(b"\n")
                    for line in lines:
                        self._send(line)
                    if not chunk or LEAVE in typed or any(LEAVE in line for line in lines):
                        return "left; the app goes on"
                    typed = typed[:MOST_BYTES]
            except KeyboardInterrupt:
                return "left; the app goes on"

    def _send(self, line: bytes) -> None:
        if LEAVE in line:
            return
        try:
            # A connection for each: one that is silent for long is closed by the supervisor.
            with _to_supervisor(self._name) as client:
                client.call("send", SendParams(line.decode(errors="replace"), self._worker))
        except FastlbError as error:
            Output.for_errors().error(error.message)

    def _show(self, output: ControlClient) -> None:
        streams = {"out": Output.for_results(), "err": Output.for_errors()}
        try:
            for note in output.stream_lines(LogsParams(stream="all"), lambda sizes: self._has_begun.set()):
                if self._worker not in (None, note.worker) or note.stream not in streams:
                    continue
                streams[note.stream].line(note.text)
                streams[note.stream].flush()
        except (FastlbError, OSError, ValueError):
            pass  # we have left, or the supervisor has
        self._has_begun.set()
        with contextlib.suppress(OSError):
            os.write(self._tell_fd, b"\0")


@contextlib.contextmanager
def _leave_key() -> Iterator[None]:
    """Have the terminal hand over a line that ends with ^] at once; it is as before afterwards."""
    try:
        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
    except (termios.error, OSError, ValueError):
        yield  # no terminal
        return
    changed = [*before[:6], [*before[6]]]
    changed[6][termios.VEOL] = LEAVE
    termios.tcsetattr(fd, termios.TCSANOW, changed)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSANOW, before)
