"""Owns how the contract tests read the pages of docs/: their tables, links and headings. Reads only."""

import re
from collections.abc import Iterator
from pathlib import Path

from .sources import ROOT, project_files

DOCS = ROOT / "docs"
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def pages() -> list[Path]:
    """Return every page of the project that people read: Markdown files that git tracks or would."""
    return [path for path in project_files() if path.suffix == ".md"]


def section(page: Path, heading: str) -> str:
    """Return the text below a heading, up to the next one of any level.

    Raises:
        AssertionError: there is no such heading.
    """
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{page.name} has no heading {heading!r}"
    return found.group(1)


def table_rows(text: str) -> list[list[str]]:
    """Return the cells of every row of the tables in `text`, without heads."""
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines() if line[:1] == "|"]
    rules = [at for at, row in enumerate(rows) if set("".join(row)) <= set("-:|")]
    return [row for at, row in enumerate(rows) if at not in rules and at + 1 not in rules]


def first_words(text: str) -> list[str]:
    """Return the first `word` in the first column of each row of the tables in `text`."""
    return [CODE.findall(row[0])[0] for row in table_rows(text) if CODE.search(row[0])]


def links(page: Path) -> Iterator[str]:
    """Yield the targets of all links and pictures of a page, those in blocks of code left out."""
    for link in LINK.finditer(FENCE.sub("", page.read_text())):
        yield link.group(1) or link.group(2)


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings have when it is shown: as GitHub makes them."""
    titles = HEADING.findall(FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
