"""Nothing grows beyond what one can read at a time."""

import ast
from collections.abc import Iterator
from pathlib import Path

from .sources import PACKAGES, code_files, shown

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
FOLDERS = (*PACKAGES, "src", "tests", "benchmarks", "examples")


def python_functions(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def cython_functions(text: str) -> Iterator[tuple[str, int]]:
    """Yield name and length of each function: from its head to the last line that is indented deeper."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        head = line.strip()
        if (
            head.startswith(("def ", "cdef ", "cpdef "))
            and "(" in head
            and not head.startswith(("cdef extern", "cdef class"))
        ):
            yield head, length_of_block(lines, at)


def length_of_block(lines: list[str], start: int) -> int:
    indent = indent_of(lines[start])
    last = start
    for at in range(start + 1, len(lines)):
        if lines[at].strip() and indent_of(lines[at]) <= indent and not lines[at].strip().startswith(")"):
            break
        last = at if lines[at].strip() else last
    return last - start + 1


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())


def functions(path: Path) -> Iterator[tuple[str, int]]:
    return (python_functions if path.suffix == ".py" else cython_functions)(path.read_text())


def test_no_file_is_longer_than_one_can_read() -> None:
    lengths = {shown(path): len(path.read_text().splitlines()) for path in code_files(FOLDERS)}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_no_function_is_longer_than_a_page() -> None:
    long = [
        f"{shown(path)}: {name}: {lines} lines"
        for path in code_files(FOLDERS, [".py", ".pyx", ".pxd"])
        for name, lines in functions(path)
        if lines > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_lengths_are_counted() -> None:
    assert dict(python_functions("def f():\n    a = 1\n    return a\n")) == {"f": 3}
    assert dict(cython_functions("cdef int f() nogil:\n    cdef int a\n\n    return 1\n\ncdef int b\n")) == {
        "cdef int f() nogil:": 4
    }
