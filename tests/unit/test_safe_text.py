"""Text of others: what could break a line or steer a terminal is shown, not obeyed."""

from fastlb.supervisor.safe_text import escape_line, escape_output, escape_output_bytes
from hypothesis import given
from hypothesis import strategies as st

HOSTILE = "\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m\x9b2J\r\x08\tend\n"


def test_of_output_only_colours_tabs_and_newlines_survive() -> None:
    assert escape_output(HOSTILE) == r"\x1b]0;title\x07\x1b[2J" + "\x1b[31mred\x1b[0m" + r"\x9b2J\r\x08" + "\tend\n"


def test_of_a_line_nothing_survives() -> None:
    assert escape_line("a\tb\n\x1b[31m\u2028\u202e\udcff") == r"a\tb\n\x1b[31m\u2028\u202e\udcff"


@given(st.text())
def test_a_line_stays_one_line_of_utf8_and_ordinary_text_is_left_alone(text: str) -> None:
    line = escape_line(text)
    line.encode()
    assert len(line.splitlines()) <= 1
    assert escape_line(line) == line
    assert escape_output(line) == line


@given(st.binary())
def test_bytes_of_any_kind_are_shown(lines: bytes) -> None:
    shown = escape_output_bytes(lines).decode()
    assert escape_output(shown) == shown


def test_escaping_takes_linear_time() -> None:
    # A quadratic search would take minutes here.
    assert escape_output("\x1b[" + "1;" * 200_000) == r"\x1b[" + "1;" * 200_000
    assert escape_output("\x1b[" * 200_000) == r"\x1b[" * 200_000
