"""What is printed: plain into a pipe, drawn on a terminal, and never able to steer it."""

import io
import re

import pytest
from fastlb.cli.app_table import APP_COLUMNS
from fastlb.cli.output import Column, Output, ProgressDisplay, Table, fitted

TABLE = Table((Column("name", "name"), Column("status", "status"), Column("pid", "number")), [["shop", "online", "7"]])
HOSTILE = "\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m\x9b2J\r\x08\tend"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def ordinary_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_hostile_text_cannot_steer_a_terminal() -> None:
    stream = Terminal()
    output = Output(stream)
    output.error(HOSTILE, HOSTILE)
    output.table(Table(TABLE.columns, [[HOSTILE, "online", "7"]]))
    ProgressDisplay(output).show(HOSTILE, 1, 2)
    # \x1b[2K is our own: it clears the line that the progress stands on.
    written = stream.getvalue().replace("\x1b[2K", "")
    assert "\x1b]" not in written
    assert "\x1b[2J" not in written
    assert "\x07" not in written
    assert "\x9b" not in written


def test_table_in_a_pipe_is_plain_and_aligned() -> None:
    stream = io.StringIO()
    Output(stream).table(Table(TABLE.columns, [["shop", "online", "7"], ["a\nb", "stopped", "1234"]]))
    assert stream.getvalue() == "name  status    pid\nshop  online      7\na b   stopped  1234\n"


def test_table_on_a_terminal_has_colours_and_the_same_columns() -> None:
    stream, plain = Terminal(), io.StringIO()
    Output(stream).table(TABLE)
    Output(plain).table(TABLE)
    assert "\x1b[32monline" in stream.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()) == plain.getvalue()


@pytest.mark.parametrize(("width", "titles"), [(30, "name pid rss"), (14, "name rss"), (7, "name")])
def test_narrow_terminal_goes_without_what_can_be_missed(width: int, titles: str) -> None:
    columns = (Column("name", "name"), Column("pid", "number", 2), Column("rss", "number", 1))
    table = fitted(Table(columns, [["shop", "1234567", "12"]]), width)
    assert [column.title for column in table.columns] == titles.split()
    assert all(len(row) == len(table.columns) for row in table.rows)


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_list_fits_into_80_columns_with_all_that_it_has(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", "1")
    figures = ["8/8", "12345", "5h10m", "3", "14", "123456", "12%", "41.3M"]
    row = ["0-7", "shop", "online", "cluster", *figures, "127.0.0.1:8000"]
    stream = Terminal()
    Output(stream).table(Table(APP_COLUMNS, [row]))
    head, shown = stream.getvalue().splitlines()
    assert head.split()[:5] == ["id", "name", "status", "mode", "up"]
    assert head.split()[5:] == ["pid", "age", "rst", "con", "reqs", "cpu", "mem", "listens", "on"]
    assert shown.split() == row
    assert max(len(head), len(shown)) <= 80


def test_what_has_no_room_is_named() -> None:
    stream = Terminal()
    columns = (Column("name", "name"), Column("pid", "number", 2), Column("restarts", "number", 1, short="rst"))
    Output(stream, color=False).table(Table(columns, [["shop" * 26, "1234567", "12"]]))
    assert stream.getvalue().splitlines()[-1] == "(no room for pid, restarts: see --json, or widen the terminal)"


@pytest.mark.parametrize("why", ["option", "NO_COLOR", "TERM"])
def test_colours_can_be_refused(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    if why == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    if why == "TERM":
        monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    output = Output(stream, color=False if why == "option" else None)
    output.table(TABLE)
    output.error("no")
    assert "\x1b[3" not in stream.getvalue()
    assert "shop" in stream.getvalue()


def test_progress_in_a_pipe_is_a_line_for_each_step() -> None:
    stream = io.StringIO()
    with ProgressDisplay(Output(stream)) as display:
        display.show("worker 0 is admitted", 1, 2)
        display.show("worker 1 is admitted", 2, 2)
    assert stream.getvalue() == "worker 0 is admitted\nworker 1 is admitted\n"


def test_progress_on_a_terminal_is_one_line_that_is_gone_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    with ProgressDisplay(Output(stream)) as display:
        display.show("worker 0 is admitted, and this is a long story", 1, 2)
    drawn, cleared = stream.getvalue().split("\r")[1:]
    assert "[##########----------] 1/2" in drawn
    assert len(drawn.removeprefix("\x1b[2K")) < 40
    assert cleared == "\x1b[2K"
    assert "\n" not in stream.getvalue()
