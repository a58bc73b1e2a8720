"""Every page can be found, every link leads somewhere, and what is typed in an example exists."""

import re
from pathlib import Path

import pytest
from fastlb.cli.main import ALIASES, cli

from benchmarks import scaling_picture
from benchmarks.picture import PICTURE, README, draw, read_results, with_tables

from .pages import CODE, DOCS, FENCE, anchors, links, pages, section, table_rows
from .sources import ROOT, shown

INDEX = DOCS / "README.md"
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
COMMAND_LINE = re.compile(r"^(?:\$ |.*[\s/;(])?fastlb +(.*)$")
INLINE_COMMAND = re.compile(r"^fastlb +(?!is$)(.*)$")  # "fastlb is": a column of the benchmarks


def page_id(page: Path) -> str:
    return shown(page)


@pytest.mark.parametrize("page", pages(), ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_every_page_is_in_the_index() -> None:
    linked = {(INDEX.parent / link.partition("#")[0]).resolve() for link in links(INDEX)}
    assert [shown(page) for page in DOCS.glob("*.md") if page != INDEX and page not in linked] == []


def test_every_decision_is_below_a_page_that_is_in_the_index() -> None:
    assert DOCS / "decisions" in {(INDEX.parent / link).resolve() for link in links(INDEX)}


def commands_in(page: Path) -> list[str]:
    """Return what stands behind each `fastlb` of a page: in its blocks of code, and in `code` within lines."""
    text = page.read_text().replace("\\\n", " ")
    found = [match.group(1) for block in FENCE.findall(text) for line in block.splitlines()
             if (match := COMMAND_LINE.match(line.partition("   #")[0]))]  # fmt: skip
    for code in CODE.findall(FENCE.sub("", text)):
        if match := INLINE_COMMAND.match(code):
            found.append(match.group(1))
    return found


def unknown_words(command: str) -> list[str]:
    """Return the command and options that fastlb does not know, of what follows the word `fastlb`."""
    command = re.split(r" -- | \| | \|\| | && |;|\)|`|\"$", command)[0]
    name = command.split()[0].strip("\"'")
    if name.startswith("-") or not name.isalpha() or name.isupper():
        return []  # its own options, or an ellipsis
    found = cli.get_command(None, ALIASES.get(name, name))  # type: ignore[arg-type]
    if found is None:
        return [name]
    known = {flag for parameter in found.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"-h", "--help", "--no-color"}
    return [option for option in OPTION.findall(command) if option not in known and not option[1:].isdigit()]


# Captured on purpose: what is mistyped there is the point.
MISTAKES = ("docs/captures.md", "CHANGELOG.md")


@pytest.mark.parametrize("page", [page for page in pages() if shown(page) not in MISTAKES], ids=page_id)
def test_commands_of_examples_exist(page: Path) -> None:
    wrong = [f"fastlb {command}: {words}" for command in commands_in(page) if (words := unknown_words(command))]
    assert wrong == []


@pytest.mark.parametrize(
    ("command", "words"),
    [("strat app:app", ["strat"]), ("start -w 2 --wrokers 3 a:b", ["--wrokers"]), ("list --json", []), ("...", [])],
)
def test_unknown_words_are_found(command: str, words: list[str]) -> None:
    assert unknown_words(command) == words


def test_commands_are_found_in_every_place() -> None:
    assert len(commands_in(ROOT / "README.md")) >= 10


def test_comparison_in_the_readme_is_what_was_measured() -> None:
    all_results = read_results()
    assert README.read_text() == with_tables(README.read_text(), all_results), "run `make docs`"
    assert PICTURE.read_text() == draw(all_results), "run `make docs`"
    assert scaling_picture.PICTURE.read_text() == scaling_picture.draw(), "run `make docs`"


def test_promises_in_the_readme_are_those_of_the_trials() -> None:
    trials = (ROOT / "benchmarks" / "results" / "trials.md").read_text().replace(",", "")
    promises = table_rows(section(README, "Beside other servers"))
    figures = [figure for row in promises[-6:-1] for figure in re.findall(r"\d[\d,]{4,}", row[1])]
    assert len(figures) >= 4
    assert [figure for figure in figures if figure.replace(",", "") not in trials] == []
