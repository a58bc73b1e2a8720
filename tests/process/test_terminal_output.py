"""The terminal of `fastlb run`: prefixes, escapes, and a terminal that stalls."""

import os
import pty
import subprocess
import sys

import pytest
from fastlb.supervisor.output.terminal import HIGH_WATER_BYTES
from fastlb.supervisor.safe_text import escape_output_bytes

from tests.support.waiting import scaled

SHOW = """
import sys
from fastlb.supervisor.output.terminal import TerminalOutput
terminal = TerminalOutput()
terminal.show("out", b"0|app | ", b"one\\n\\ntwo\\n")
terminal.show("err", b"1|app | ", b"\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07\\r\\n")
terminal.close()
"""

STALL = f"""
import sys, threading
from fastlb.supervisor.output.terminal import TerminalOutput
terminal = TerminalOutput()
room = threading.Event()
terminal.connect(lambda: print("full", file=sys.stderr, flush=True), room.set)
for _ in range({HIGH_WATER_BYTES} // 1024 + 1):
    terminal.show("out", b"", b"x" * 1023 + b"\\n")
print("not blocked", file=sys.stderr, flush=True)
assert room.wait({scaled(10)})
print("room", file=sys.stderr, flush=True)
terminal.close()
"""


def test_lines_are_prefixed_and_a_pipe_gets_them_raw() -> None:
    result = subprocess.run([sys.executable, "-c", SHOW], capture_output=True)
    assert result.stdout == b"0|app | one\n0|app | \n0|app | two\n"
    assert result.stderr == b"1|app | \x1b[31mred\x1b[0m \x1b]0;title\x07\r\n"


def test_terminal_gets_colours_and_nothing_else_that_it_would_obey() -> None:
    terminal, inside = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", SHOW], stdout=inside, stderr=inside) as process:
        os.close(inside)
        assert process.wait() == 0
    shown = os.read(terminal, 65536)
    os.close(terminal)
    assert shown.endswith(b"1|app | \x1b[31mred\x1b[0m \\x1b]0;title\\x07\\r\r\n")


@pytest.mark.parametrize("hostile", [b"\x1b[" * 100_000, b"\x1b[" + b"0;" * 100_000, b"\x1b" * 100_000])
def test_hostile_line_is_escaped_in_linear_time(hostile: bytes) -> None:
    assert b"\x1b" not in escape_output_bytes(hostile)


def test_terminal_that_stalls_blocks_nobody() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STALL], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stderr.readline() == b"full\n"
        assert process.stderr.readline() == b"not blocked\n"
        shown = process.stdout.read()
        assert process.stderr.readline() == b"room\n"
    assert shown.count(b"\n") == HIGH_WATER_BYTES // 1024 + 1
    assert process.returncode == 0
