"""What holds for every Cython file: it begins with its header, and names nothing that it does not use."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .sources import ROOT, code_files, shown

FOLDERS = ("lb", "worker")
FILES_OF_LB = sorted(code_files(["lb"], [".pyx", ".pxd"]))
CYTHON_FILES = sorted(code_files(FOLDERS, [".pyx", ".pxd"]))
# A string in three quotes (documentation, or C for the compiler), a string in one, a comment.
PROSE = re.compile(
    r'(?:\bf)?"""(?:\\.|[^\\])*?"""'
    r'|(?:\bf)?"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])*'"
    r"|#[^\n]*",
    re.DOTALL,
)
IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+[\w.]+[ \t]+)?c?import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE)
LEAST_HEADER_WORDS = 8
SYSTEM_HEADERS = "lb/posix.pxd"
# What headers claim: the code on the left stands in no other file of lb than those on the right.
PLACES = {
    r"\braise OSError\b": {"lb/errors.pyx"},
    r"\bepoll_wait\(": {"lb/dispatcher.pyx"},
    r"\bepoll_ctl\(": {"lb/epoll.pxd"},
    r"\bslot\.state = |\bslots\[.*\]\.state = ": {"lb/state.pxd"},
    # the dispatcher's state, a NodeChannel, a long line of a Node worker; a table of the tests
    r"\b[cm]alloc\(": {"lb/dispatcher.pyx", "lb/workers.pxd", "lb/node/read.pxd", "lb/policy.pyx"},
}
# Words that a reader would stumble over, in the documentation of lb
RIDDLES = re.compile(r"\b([Bb]eside|[Ww]hoever|[Ss]omebody|[Nn]obody|[Aa]nybody|[Ee]verybody|his|bad days?)\b")
SUBJECT_MISSING = re.compile(
    r'"""(?:(?:Whether|When|What|How \w+|Return \w+) )?(?:it|its|they|their|them|he)\b', re.IGNORECASE
)


def without_prose(text: str) -> str:
    """The code of a Cython file: of strings only what f-strings evaluate is left, of comments nothing."""

    def evaluated(prose: re.Match[str]) -> str:
        is_formatted = prose.group().startswith("f")
        return f" ({' '.join(re.findall(r'{([^{}]*)}', prose.group()))}) " if is_formatted else " "

    return PROSE.sub(evaluated, text)


def imported_names(code: str) -> Iterator[str]:
    """Yield the names by which a file knows what it imports and cimports."""
    for statement in IMPORT.finditer(code):
        for item in statement.group(1).strip("()").replace("\n", " ").split(","):
            words = item.split()
            if words:
                yield words[-1].partition(".")[0]


def unused_names(text: str) -> list[str]:
    """Return what a file imports or cimports and never names again."""
    code = without_prose(text)
    names = list(imported_names(code))
    rest = IMPORT.sub("", code)
    return [name for name in names if not re.search(rf"\b{name}\b", rest)]


def header(text: str) -> str:
    """Return the comment or documentation with which a file begins; empty when it begins with code."""
    if text.startswith('"""'):
        return text[3 : text.index('"""', 3)]
    lines = text.splitlines()
    end = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "\n".join(line.lstrip("# ") for line in lines[:end])


@pytest.mark.parametrize("path", CYTHON_FILES, ids=shown)
def test_nothing_is_cimported_without_use(path: Path) -> None:
    assert unused_names(path.read_text()) == []


@pytest.mark.parametrize("path", CYTHON_FILES, ids=shown)
def test_every_cython_file_begins_with_what_it_owns(path: Path) -> None:
    text = header(path.read_text())
    assert "." in text
    assert len(text.split()) >= LEAST_HEADER_WORDS
    assert path.suffix == ".pyx" or text.startswith("Owns ")


@pytest.mark.parametrize("claimed", PLACES)
def test_what_has_one_place_stands_nowhere_else(claimed: str) -> None:
    found = {shown(path) for path in FILES_OF_LB if re.search(claimed, without_prose(path.read_text()))}
    assert found - {SYSTEM_HEADERS} == PLACES[claimed]


def test_headers_of_the_system_are_declared_in_one_file_of_lb() -> None:
    declaration = re.compile(r'^cdef extern from "<', re.MULTILINE)
    assert [shown(path) for path in FILES_OF_LB if declaration.search(path.read_text())] == [SYSTEM_HEADERS]


def test_descriptors_are_closed_in_one_place_of_the_dispatcher() -> None:
    headers = [path for path in FILES_OF_LB if path.suffix == ".pxd"]
    closing = {shown(path) for path in headers if re.search(r"\bclose\(", without_prose(path.read_text()))}
    assert closing - {SYSTEM_HEADERS} == {"lb/descriptors.pxd"}


def test_documentation_of_lb_names_its_subject_and_has_no_riddles() -> None:
    files = [*code_files(["lb"]), ROOT / "lb" / "README.md"]
    wrong = [
        f"{shown(path)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if RIDDLES.search(line) or SUBJECT_MISSING.search(line)
    ]
    assert wrong == []


def test_unused_names_are_found() -> None:
    text = '''"""Names STALE and open in prose."""
import os
import os.path as paths
from a.b cimport (
    USED, STALE, Thing as Other,
)
from libc.stdlib cimport free
cdef extern from "<fcntl.h>":
    int open(const char *path)
# free is named in a comment only
x = USED + Other("STALE") + f"{paths.sep} os"
'''
    assert unused_names(text) == ["os", "STALE", "free"]


def test_headers_are_found() -> None:
    assert header("# Owns one\n# thing.\n\n# Not this.\n") == "Owns one\nthing."
    assert header('"""Owns\nit."""\nx = 1\n') == "Owns\nit."
    assert header("x = 1\n# Owns nothing.\n") == ""
    assert len(CYTHON_FILES) > len(list((ROOT / "lb").glob("*.pxd")))
