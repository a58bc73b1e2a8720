"""Lines that say who printed them and which they are, and the search for what is missing, doubled or out of order.

A program of fork mode prints them (`printing_program`); tests and trials look for them in log files.
"""

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from fastlb.supervisor.home.log_files import rotated_files

LINE = re.compile(rb"(\d+) (\d{8}) x{40}")
LOST = re.compile(rb"\[fastlb\] (\d+) lines were lost here")
PROGRAM = """
import os, sys, time

me, first, count = os.environ["FASTLB_WORKER_ID"], 0, {lines}
while first < count:
    last = min(first + 100, count)
    os.write(1, b"".join(b"%s %08d %s\\n" % (me.encode(), number, b"x" * 40) for number in range(first, last)))
    first = last
"""


class Found(msgspec.Struct):
    """What stands in files.

    Attributes:
        lines: how many whole lines of ours, by worker.
        lost: what marks say is missing.
        disorder: what is not as it was printed, in words; the first few.
        files: how many rotated ones there are.
    """

    lines: dict[int, int] = {}
    lost: int = 0
    disorder: list[str] = []
    files: int = 0


def printing_program(directory: Path, lines: int) -> Path:
    """Write a program that prints so many lines and ends."""
    program = directory / "prints.py"
    program.write_text(PROGRAM.format(lines=lines))
    return program


def search(path: Path) -> Found:
    """Read a log file and all that was rotated away from it, in order."""
    files = rotated_files(path)
    found = Found(lines={}, disorder=[], files=len(files))
    following: dict[int, int] = {}
    for line in _lines_of([*files, path]):
        if mark := LOST.match(line):
            found.lost += int(mark[1])
        elif match := LINE.fullmatch(line):
            worker, number = int(match[1]), int(match[2])
            if number != following.get(worker, 0) and not found.lost and len(found.disorder) < 5:
                found.disorder.append(f"worker {worker}: {number} in place of {following.get(worker, 0)}")
            following[worker] = number + 1
            found.lines[worker] = found.lines.get(worker, 0) + 1
        elif len(found.disorder) < 5:
            found.disorder.append(repr(line))
    return found


def _lines_of(files: Iterable[Path]) -> Iterator[bytes]:
    for file in files:
        data = file.read_bytes()
        yield from (gzip.decompress(data) if file.suffix == ".gz" else data).splitlines()
