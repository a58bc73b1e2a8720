"""docs/captures.md is what commands answer now, and the looks at 80 columns fit into them."""

from collections.abc import Iterator

import pytest

from benchmarks.captures.__main__ import LOOKS, PAGE
from benchmarks.captures.mistakes import MISTAKES, Mistake
from benchmarks.captures.session import COLUMNS, Session, session


@pytest.fixture(scope="module")
def typist() -> Iterator[Session]:
    with session() as typist:
        yield typist


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.title for mistake in MISTAKES])
def test_mistake_is_answered_as_the_page_says(typist: Session, mistake: Mistake) -> None:
    answer = typist.make(mistake)
    assert not answer.endswith("\n0\n```\n"), "it is no mistake"
    assert answer in PAGE.read_text(), "run `make captures`"


@pytest.mark.parametrize("look", LOOKS)
def test_look_fits(typist: Session, look: str) -> None:
    answer = typist.on_terminal(look)
    # Sentences may wrap, and what workers print and events say; rows may not.
    lines = answer.splitlines()[2:]
    said = ("shop event | ", "|shop event | ", "|shop out | ", "|shop err | ")
    rows = [line for line in lines if "  " in line or line.startswith(("name ", "shop "))]
    rows = [row for row in rows if not any(mark in row for mark in said)]
    assert rows or " | " in answer
    assert [row for row in rows if len(row) > COLUMNS] == []
    assert answer.endswith("\n0\n```\n")
