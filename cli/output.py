"""Owns the terminal: everything the command line prints goes through here, commands say what and not how.

Runs in the user's shell. On a terminal: colours, borders, a progress bar. Into a pipe or file: plain text.
Text that others wrote (names, log lines, tracebacks) must never steer the terminal.
"""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, Self, TextIO

import click
import msgspec

STATUS_STYLES = {
    "online": "green",
    "ready": "green",
    "starting": "cyan",
    "reloading": "cyan",
    "draining": "yellow",
    "stopping": "yellow",
    "backoff": "yellow",
    "degraded": "yellow",
    "errored": "red",
    "unresponsive": "red",
    "exited": "red",
    "stopped": "bright_black",
}
STREAM_STYLES = {"out": "green", "err": "red"}
BAR_CHARACTERS = 20
# What a terminal would obey (C1 too), but for tab, newline and colours. Linear: the look-ahead is bounded.
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9;:]{0,32}m)")


class Column(msgspec.Struct, frozen=True):
    """A column of a table. `kind` says what its cells are; how that looks is decided here."""

    title: str
    kind: Literal["text", "name", "number", "status"] = "text"


class Table(msgspec.Struct, frozen=True):
    """Rows of texts below columns."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]


def strip_controls(text: str) -> str:
    """Return `text` without what a terminal would obey, except tabs, newlines and colours."""
    return _OBEYED.sub("", text)


class Output:
    """One stream of the user's. `is_terminal`, `has_color`: what may be used on it."""

    def __init__(self, stream: TextIO, *, color: bool | None = None) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
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

    def error(self, message: str, details: str = "") -> None:
        """Print a failure and below it, as they are, its details."""
        self._write(self._styled("error: ", "red") + message + "\n")
        if details:
            self._write(details.rstrip("\n") + "\n")

    def warning(self, message: str) -> None:
        """Print what deserves attention and stops nothing."""
        self._write(self._styled("warning: ", "yellow") + message + "\n")

    def heading(self, text: str) -> None:
        """Print the title of what follows."""
        self._write(self._styled(text, "cyan", bold=True) + "\n")

    def log_line(self, app: str, stream: Literal["out", "err"], text: str) -> None:
        """Print one line that an app wrote, behind the app's name (unless that is empty)."""
        self._write((self._styled(f"{app} | ", STREAM_STYLES[stream]) if app else "") + text + "\n")

    def flush(self) -> None:
        """Hand over what was printed to whoever reads it."""
        self._stream.flush()

    def rewrite_line(self, text: str) -> None:
        """Put `text` in place of the terminal's current line, cut to its width."""
        width = shutil.get_terminal_size().columns - 1
        self._stream.write("\r\x1b[2K" + strip_controls(text).replace("\n", " ")[:width])
        self._stream.flush()

    def table(self, table: Table) -> None:
        """Print a table: with borders on a terminal, else as aligned columns."""
        if self.is_terminal:
            self._draw(table)
        else:
            self._write(plain_table(table))

    def _draw(self, table: Table) -> None:
        from rich.box import ROUNDED
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        drawing = RichTable(box=ROUNDED, header_style="bold cyan", border_style="bright_black")
        for column in table.columns:
            drawing.add_column(column.title, justify="right" if column.kind == "number" else "left")
        for row in table.rows:
            cells = zip(table.columns, row, strict=True)
            drawing.add_row(
                *(Text(strip_controls(cell), style=_style(column, cell)) for column, cell in cells)
            )
        Console(file=self._stream, no_color=not self.has_color, highlight=False).print(drawing)

    def _styled(self, text: str, color: str, *, bold: bool | None = None) -> str:
        return click.style(text, fg=color, bold=bold) if self.has_color else text

    def _write(self, text: str) -> None:
        self._stream.write(strip_controls(text) if self.is_terminal else text)


def plain_table(table: Table) -> str:
    """Return `table` as lines of aligned columns; numbers to the right."""
    titles = [column.title for column in table.columns]
    cells = [titles, *([" ".join(cell.split()) for cell in row] for row in table.rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(titles))]
    return "".join(_plain_row(table.columns, row, widths) for row in cells)


def _plain_row(columns: Sequence[Column], row: Sequence[str], widths: Sequence[int]) -> str:
    fields = zip(columns, row, widths, strict=True)
    padded = (
        cell.rjust(width) if column.kind == "number" else cell.ljust(width) for column, cell, width in fields
    )
    return "  ".join(padded).rstrip() + "\n"


def _style(column: Column, cell: str) -> str:
    if column.kind == "status":
        return STATUS_STYLES.get(cell, "")
    return "bold" if column.kind == "name" else ""


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
