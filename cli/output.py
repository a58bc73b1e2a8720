"""Owns the terminal: everything the command line prints goes through here, commands say what and not how.

Runs in the user's shell. On a terminal: colours, a progress bar, what fits. Into a pipe or file: plain text.
Text that others wrote (names, log lines, tracebacks) must never steer the terminal.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TextIO

import click
import msgspec

from ..supervisor.safe_text import escape_output

STATUS_COLORS = {
    "online": "green",
    "ready": "green",
    "starting": "cyan",
    "reloading": "cyan",
    "unready": "yellow",
    "unhealthy": "red",
    "draining": "yellow",
    "stopping": "yellow",
    "backoff": "yellow",
    "degraded": "yellow",
    "finished": "green",
    "errored": "red",
    "died": "red",
    "unresponsive": "red",
    "exited": "red",
    "stopped": "bright_black",
}
LEVEL_COLORS = {"warning": "yellow", "error": "red"}
BAR_CHARACTERS = 20


class Column(msgspec.Struct, frozen=True):
    """A column of a table.

    Attributes:
        kind: what its cells are; how that looks is decided here.
        dispensable: on a narrow terminal the columns with the highest number go first; 0: never.
        short: its title on a narrow terminal, if it has another there.
    """

    title: str
    kind: Literal["text", "name", "number", "status"] = "text"
    dispensable: int = 0
    short: str = ""


class Table(msgspec.Struct, frozen=True):
    """Rows of texts below columns, `gap` spaces apart. `left_out`: titles of columns for which there was no room."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    gap: int = 2
    left_out: Sequence[str] = ()


class Output:
    """One stream of the user's. `is_terminal`, `has_color`: what may be used on it."""

    def __init__(self, stream: TextIO, *, color: bool | None = None) -> None:
        self._stream = stream
        self._has_width = stream.isatty()
        self.is_terminal = self._has_width and os.environ.get("TERM") != "dumb"
        wants_color = color is not False and not os.environ.get("NO_COLOR")  # no-color.org
        self.has_color = self.is_terminal and wants_color

    @classmethod
    def for_results(cls) -> Self:
        """Standard output: what was asked for."""
        return cls(sys.stdout, color=_asked_color())

    @classmethod
    def for_errors(cls) -> Self:
        """Standard error: messages and progress, so that results can be piped."""
        return cls(sys.stderr, color=_asked_color())

    def line(self, text: str = "") -> None:
        """Print a line."""
        self._write(text + "\n")

    def json(self, value: Any) -> None:
        """Print `value` as indented JSON."""
        self._write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")

    def json_line(self, value: Any) -> None:
        """Print `value` as JSON in one line."""
        self._write(msgspec.json.encode(value).decode() + "\n")

    def clear(self) -> None:
        """Begin anew at the top of an empty terminal."""
        self._stream.write("\x1b[H\x1b[2J")

    def error(self, message: str, details: str = "") -> None:
        """Print a failure and below it, as they are, its details."""
        self._write(self._styled("error: ", "red") + message + "\n")
        if details:
            self._write(details.rstrip("\n") + "\n")

    def warning(self, message: str) -> None:
        """Print what deserves attention and stops nothing."""
        self._write(self._styled("warning: ", "yellow") + message + "\n")

    def heading(self, text: str) -> None:
        """Print the title of what follows, below an empty line."""
        self._write("\n" + self._styled(text, "cyan", bold=True) + "\n")

    def log_text(self, text: str | bytes) -> None:
        """Print lines of logs, which are safe to show already; bytes go out as they are."""
        if isinstance(text, str):
            self._stream.write(text)
            return
        self._stream.flush()
        self._stream.buffer.write(text)

    def event_line(self, level: str, head: str, text: str) -> None:
        """Print an event: `head` in the colour of its level (info, warning, error), behind it `text`."""
        self._write(self._styled(head, LEVEL_COLORS.get(level)) + text + "\n")

    def flush(self) -> None:
        """Hand over what was printed to whoever reads it."""
        self._stream.flush()

    def rewrite_line(self, text: str) -> None:
        """Put `text` in place of the terminal's current line, cut to its width."""
        width = shutil.get_terminal_size().columns - 1
        self._stream.write("\r\x1b[2K" + escape_output(text).replace("\n", " ")[:width])
        self._stream.flush()

    def table(self, table: Table) -> None:
        """Print a table as aligned columns; on a narrow terminal without those that can be missed, which is said."""
        rows = [[" ".join(escape_output(cell).split()) for cell in row] for row in table.rows]
        table = Table(table.columns, rows)
        if self._has_width:
            table = fitted(table, shutil.get_terminal_size().columns)
        widths = column_widths(table)
        titles = [column.title for column in table.columns]
        self._write(self._row(table, titles, widths, is_head=True))
        for row in table.rows:
            self._write(self._row(table, row, widths))
        if table.left_out:
            self._write(f"(no room for {', '.join(table.left_out)}: see --json, or widen the terminal)\n")

    def pairs(self, values: Mapping[str, str]) -> None:
        """Print a name and its value on each line, the values below each other."""
        width = max(map(len, values))
        for name, value in values.items():
            text = " ".join(escape_output(value).split())
            self._write(self._styled(name, None, bold=True) + " " * (width - len(name) + 2) + text + "\n")

    def _row(self, table: Table, cells: Sequence[str], widths: Sequence[int], *, is_head: bool = False) -> str:
        fields = []
        for column, cell, width in zip(table.columns, cells, widths, strict=True):
            padding = " " * (width - len(cell))
            color = "cyan" if is_head else STATUS_COLORS.get(cell) if column.kind == "status" else None
            styled = self._styled(cell, color, bold=is_head or column.kind == "name")
            fields.append(padding + styled if column.kind == "number" else styled + padding)
        return (" " * table.gap).join(fields).rstrip() + "\n"

    def _styled(self, text: str, color: str | None, *, bold: bool = False) -> str:
        if not self.has_color or not (color or bold):
            return text
        return click.style(text, fg=color, bold=bold or None)

    def _write(self, text: str) -> None:
        self._stream.write(escape_output(text) if self.is_terminal else text)


def column_widths(table: Table) -> list[int]:
    """Return the characters that each column needs."""
    rows = [[column.title for column in table.columns], *table.rows]
    return [max(len(row[at]) for row in rows) for at in range(len(table.columns))]


def fitted(table: Table, width: int) -> Table:
    """Return the table as it fits into `width`: with short titles and narrow gaps, then without what can be missed."""
    if _width_of(table) <= width:
        return table
    titles = [column.title for column in table.columns]
    columns = [msgspec.structs.replace(column, title=column.short or column.title) for column in table.columns]
    table = Table(columns, table.rows, gap=1)
    left_out: list[str] = []
    for level in sorted({column.dispensable for column in columns} - {0}, reverse=True):
        if _width_of(table) <= width:
            break
        kept = [at for at, column in enumerate(table.columns) if column.dispensable != level]
        left_out += [titles[at] for at in range(len(titles)) if at not in kept]
        titles = [titles[at] for at in kept]
        rows = [[row[at] for at in kept] for row in table.rows]
        table = Table([table.columns[at] for at in kept], rows, gap=1, left_out=tuple(left_out))
    return table


def _width_of(table: Table) -> int:
    return sum(column_widths(table)) + table.gap * (len(table.columns) - 1)


def _asked_color() -> bool | None:
    context = click.get_current_context(silent=True)
    return context.color if context else None


class ProgressDisplay:
    """Shows how far an operation has come: one line that changes on a terminal, else a line for each step.

    Use as a context manager: the line is gone when the operation ends.
    """

    def __init__(self, output: Output) -> None:
        self._output = output

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._output.is_terminal:
            self._output.rewrite_line("")

    def show(self, text: str, admitted: int, workers: int) -> None:
        """Show one step: `admitted` of `workers` are done."""
        if self._output.is_terminal:
            self._output.rewrite_line(_bar(admitted, workers) + text)
        else:
            self._output.line(text)
        self._output.flush()


def _bar(done: int, total: int) -> str:
    if total <= 0:
        return ""
    filled = BAR_CHARACTERS * min(done, total) // total
    return f"[{'#' * filled}{'-' * (BAR_CHARACTERS - filled)}] {done}/{total}  "
