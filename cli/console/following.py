"""Owns bringing the last lines of an app's log to a page, and those that come. Runs in the user's shell.

One daemon thread for each page that asks; it ends with the page. Lines go out as plain text: what could steer a
terminal is escaped, colours are left out, and a page never takes them for more than text.
"""

import contextlib
import re
import threading
from typing import Any

from ...supervisor.control.client import LineNote, NotRunning
from ...supervisor.control.protocol import LogsParams
from ...supervisor.errors import FastlbError
from ...supervisor.safe_text import escape_line
from ..apps import ANSWER_SECONDS, connected, paths_of
from ..log_view.app_logs import config_of, log_sources, shape_of
from ..log_view.chains import Ends
from ..log_view.merging import find_tail, in_order
from ..log_view.records import Record, Shape, recognize
from ..log_view.selection import Selection
from .feeds import MAX_LINE_CHARACTERS, Feed

TAIL_LINES = 300
WANTED = Selection(streams=frozenset(("out", "err", "log")))
_COLORS = re.compile(r"\x1b\[[0-9;:]{0,32}m")


def follow(name: str, feed: Feed) -> None:
    """Begin to bring the log of the app `name` to a page, until the feed is closed."""
    threading.Thread(target=_run, args=(name, feed), daemon=True).start()


def _run(name: str, feed: Feed) -> None:
    try:
        ended = _follow(name, feed)
    except NotRunning:
        ended = _last_lines(name, feed, None) or f"{name} does not run: nothing will come"
    except (FastlbError, OSError) as error:
        ended = error.message if isinstance(error, FastlbError) else f"cannot read the log: {error.strerror or error}"
    feed.add_lines([], ended)


def _follow(name: str, feed: Feed) -> str:
    """Return why it has ended."""
    shape = shape_of(config_of(paths_of(name)))
    with connected(name, ANSWER_SECONDS) as client:
        feed.at_close(client.interrupt)
        with contextlib.suppress(OSError):  # the page has gone, or the supervisor
            for note in client.stream_lines(LogsParams("all"), lambda ends: _tail(name, feed, ends)):
                feed.add_lines([line_of(_record_of(note, name, shape))])
    return f"the supervisor of {name} has ended"


def _last_lines(name: str, feed: Feed, ends: Ends | None) -> str:
    try:
        _tail(name, feed, ends)
    except OSError as error:
        return f"cannot read the log: {error.strerror or error}"
    return ""


def _tail(name: str, feed: Feed, ends: Ends | None) -> None:
    with contextlib.ExitStack() as opened:
        sources = log_sources(paths_of(name), WANTED.streams, ends)
        for source in sources:
            opened.callback(source.close)
        feed.add_lines([line_of(record) for record in in_order(find_tail(sources, WANTED, TAIL_LINES))])


def line_of(record: Record) -> dict[str, Any]:
    """Return what the page is told of a line, or of a piece of a very long one."""
    text = escape_line(_COLORS.sub("", record.message))
    if len(text) > MAX_LINE_CHARACTERS:
        text = text[:MAX_LINE_CHARACTERS] + "…"
    return {"time": record.time, "stream": record.stream, "worker": record.worker, "text": text}


def _record_of(note: LineNote, app: str, shape: Shape) -> Record:
    record = Record(app, note.stream, note.text.encode(errors="backslashreplace"), note.text)
    record.time, record.worker, record.pid = note.time or None, note.worker, note.pid
    return recognize(record, shape)
