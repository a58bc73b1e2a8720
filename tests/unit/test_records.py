"""Which lines are one record: tracebacks of several languages, and nothing else."""

import pytest
from fastlb.supervisor.output.records import MAX_RECORD_BYTES, Records

PYTHON = """ERROR:root:failed
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    1 / 0
    ~~^~~
ZeroDivisionError: division by zero
"""
CHAINED = """Traceback (most recent call last):
  File "a.py", line 1, in <module>
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in <module>
ValueError: y
"""
NODE = """Error: lost
    at f (/srv/app.js:1:7)
    at Module._compile (node:internal) {
  code: 'LOST'
}
"""
JAVA = """java.lang.IllegalStateException: lost
\tat a.B.c(B.java:1)
Caused by: java.io.IOException: gone
\tat a.B.d(B.java:2)
\t... 1 more
"""


def records_of(text: str, *, piece: int = 0) -> list[str]:
    """Return the records of a text that comes at once, or so many lines at a time."""
    gathered = Records()
    lines = text.splitlines(keepends=True)
    piece = piece or len(lines)
    parts = ["".join(lines[start : start + piece]) for start in range(0, len(lines), piece)]
    found = [record for part in parts for record in gathered.add(part.encode())]
    found += gathered.flush()
    assert not gathered.is_unfinished
    return [record.decode() for record in found]


@pytest.mark.parametrize("piece", [0, 1, 3], ids=["at once", "by line", "by three"])
@pytest.mark.parametrize("trace", [PYTHON, CHAINED, NODE, JAVA], ids=["python", "chained", "node", "java"])
def test_traceback_is_one_record(trace: str, piece: int) -> None:
    assert records_of(f"before\n{trace}" if trace == PYTHON else trace, piece=piece)[-1] == trace
    *first, last = records_of(f"{trace}after\n{trace}", piece=piece)
    begins_anew = not trace.startswith("Traceback")  # else it belongs to the line above it
    assert (first, last) == ([trace, "after\n"], trace) if begins_anew else ([trace], f"after\n{trace}")


@pytest.mark.parametrize("text", ["one\ntwo\nthree\n", "one\n\ntwo\n", "\n\n", "one\n\n\n", "}\n"])
def test_other_lines_are_records_of_their_own(text: str) -> None:
    assert records_of(text) == text.splitlines(keepends=True)


def test_nothing_is_lost_and_no_record_is_larger_than_memory_allows() -> None:
    text = "Traceback (most recent call last):\n" + "  a frame of many\n" * 20000
    found = records_of(text)
    assert "".join(found) == text
    assert 1 < len(found) < 10
    assert max(map(len, found)) <= MAX_RECORD_BYTES + len("  a frame of many\n")


def test_empty_lines_without_end_are_passed_on() -> None:
    gathered = Records()
    text = b"  indented\n" + b"\n" * (3 * MAX_RECORD_BYTES)
    found = b"".join(record for piece in (text[:1000], text[1000:]) for record in gathered.add(piece))
    assert len(text) - len(found) <= MAX_RECORD_BYTES
    assert found + b"".join(gathered.flush()) == text
