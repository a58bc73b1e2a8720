"""Drives one real WSGI worker on the app of apps/wsgi_protocol_probe.py. Runs in the test process."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .raw_http import RawClient, RawResponse, get
from .waiting import wait_until
from .worker_process import Listener, WorkerProcess, serving_worker

SOURCE = Path(__file__).with_name("apps") / "wsgi_protocol_probe.py"


class Probe:
    """The worker and what its app leaves for the test."""

    def __init__(self, worker: WorkerProcess, directory: Path) -> None:
        self.worker = worker
        self.directory = directory

    def client(self, sent: bytes = b"") -> RawClient:
        """Return a client whose connection was handed to the worker, and which has sent `sent`."""
        return RawClient(self.worker.connect()).send(sent)

    def ask(self, sent: bytes, *, head: bool = False) -> RawResponse:
        """Send a request on a connection of its own; return the response."""
        with self.client(sent) as client:
            return client.response(head=head)

    def ask_and_close(self, sent: bytes) -> RawResponse:
        """Send bytes; return the one response, after which the server must close the connection."""
        with self.client(sent) as client:
            response = client.response()
            assert client.is_closed()
            return response

    @contextlib.contextmanager
    def gate(self) -> Iterator[None]:
        """Keep the app waiting at gate("gate") during the block, let it go on at its end."""
        path = self.directory / "gate"
        os.mkfifo(path)
        try:
            yield
        finally:
            # Opening returns when the app has opened it too; closing is what it waits for.
            path.open("wb").close()
            path.unlink()

    def notes(self) -> list[str]:
        """Return what the app has noted."""
        path = self.directory / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def forget_notes(self) -> None:
        """Begin with no notes."""
        (self.directory / "notes").unlink(missing_ok=True)

    def wait_note(self, note: str, count: int = 1, timeout: float = 5.0) -> None:
        """Wait until the app has noted `note`, `count` times."""
        wait_until(lambda: self.notes().count(note) >= count, f"the app notes {note!r} {count} times", timeout)

    def wait_busy(self, busy: int) -> None:
        """Wait until the worker says that it is so busy."""
        wait_until(lambda: self.worker.counters()["busy"] == busy, f"busy is {busy}")

    def wait_log(self, text: str) -> str:
        """Wait until the worker has written `text`; return all that it has written."""
        wait_until(lambda: text in self.worker.read_output(), f"the log says {text!r}")
        return self.worker.read_output()

    def wait_closed(self) -> None:
        """Wait until every connection that was handed over is taken and closed, and none is busy."""

        def is_closed() -> bool:
            counters = self.worker.counters()
            return counters["closed"] == self.worker.position and counters["busy"] == 0

        wait_until(is_closed, "all connections closed")


@contextlib.contextmanager
def serving_probe(
    directory: Path, listeners: list[Listener] | None = None, **settings: Any
) -> Iterator[Probe]:
    """Run the probe app in a worker with these settings."""
    with serving_worker(directory, SOURCE.read_text(), listeners, interface="wsgi", **settings) as worker:
        yield Probe(worker, directory)


def hello(probe: Probe) -> None:
    """Check that the worker answers."""
    assert probe.ask(get("/hello")).body == b"hello"
