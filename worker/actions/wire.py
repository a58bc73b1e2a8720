"""Owns the messages by which a Python worker is asked for actions: newline-delimited JSON on its lifeline.

Both ends import it (the supervisor as fastlb.worker.actions.wire). No I/O. The lifecycle channel is
read by the worker's event loop; these by a thread, so that a worker whose loop is blocked answers as well.

    supervisor -> worker   ActionRequest, with a descriptor if the action may write a file
    worker -> supervisor   ActionBegun, as soon as it has read the request; then ActionAnswer
"""

from collections.abc import Iterable

import msgspec

from .registry import MAX_NAME_CHARACTERS

# One line, of a request or an answer; what is longer costs the channel.
MAX_LINE_BYTES = 1 << 20
MAX_PARAM_BYTES = 64 * 1024
# Of an answer's text, as JSON: the line that it stands in is within MAX_LINE_BYTES, here and at the control socket.
MAX_TEXT_BYTES = MAX_LINE_BYTES - 32 * 1024
MOST_KNOWN = 100


class ActionRequest(msgspec.Struct, frozen=True):
    """Do something.

    Attributes:
        number: comes back with the answer.
        name: of the action; empty: say which there are.
        param: what it was given; None: nothing.
        begin_by: monotonic seconds, of the machine; what has not begun by then is not done any more.
        timeout: seconds after which nobody waits for the answer.
        has_file: a descriptor comes along, of an empty file.
    """

    number: int
    name: str
    param: str | None
    begin_by: float
    timeout: float
    has_file: bool = False


class ActionBegun(msgspec.Struct, frozen=True, tag="begun"):
    """The request was read: the interpreter is not blocked."""

    number: int


class ActionAnswer(msgspec.Struct, frozen=True, tag="answer", kw_only=True):
    """How it ended.

    Attributes:
        number: of the request.
        ok: it was done.
        text: what came of it, or why not.
        known: the names of the actions that there are, when it was no such or none was asked for.
        is_unknown: it was no such.
    """

    number: int
    ok: bool
    text: str
    known: list[str] = []
    is_unknown: bool = False


ActionMessage = ActionBegun | ActionAnswer


def bounded_text(text: str) -> str:
    """Return the text, cut where it would be too long as JSON, and then with a line that says so."""
    text = text.encode(errors="backslashreplace").decode()
    length = len(text)
    while len(msgspec.json.encode(text)) > MAX_TEXT_BYTES:
        text = text[: len(text) * 7 // 8]
    return text if len(text) == length else f"{text}\n[cut here: it was {length} characters long]"


def bounded_names(names: Iterable[str]) -> list[str]:
    """Return the names in order, as many as an answer may have, without those that are too long."""
    return sorted(name for name in names if len(name) <= MAX_NAME_CHARACTERS)[:MOST_KNOWN]
