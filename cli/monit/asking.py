"""Owns what the console asks of a supervisor. Runs in the user's shell, in threads."""

from collections.abc import Callable, Iterator

from ...supervisor.control.client import ControlClient
from ...supervisor.control.protocol import Done, LogsParams, ScaleParams
from ...supervisor.errors import FastlbError
from ...supervisor.safe_text import escape_output
from ..apps import ANSWER_SECONDS, connected


def perform(name: str, method: str, workers: int | None, tell: Callable[[str], None]) -> str:
    """Have something done to an app, and return the sentence that says how it ended.

    Args:
        name: of the app.
        method: reload, restart, stop or scale.
        workers: how many there are to be, of scale.
        tell: is called with each step.

    Raises:
        FastlbError: it failed, or was refused, or the app does not answer.
    """
    with connected(name, ANSWER_SECONDS) as client:
        client.wait_for_ever()
        params = None if workers is None else ScaleParams(workers=workers)
        done: Done = client.call(method, params, lambda step: tell(step.text))
    return done.text


def follow(name: str, begun: Callable[[ControlClient], None]) -> Iterator[str]:
    """Yield what the workers of an app write from now on, and its events, safe to be shown, until it ends.

    `begun` gets the connection, by which the end can be brought about.
    """
    try:
        with connected(name, ANSWER_SECONDS) as client:
            begun(client)
            for note in client.stream_lines(LogsParams("all", ["event"])):
                yield escape_output(note.text if note.worker is None else f"{note.worker} | {note.text}")
    except (FastlbError, OSError, ValueError):  # the last: it was closed while it was read
        return
