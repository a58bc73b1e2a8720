"""What must not stand in the project's files."""

import ast
import re

import pytest

from .sources import PACKAGES, ROOT, TEXT_SUFFIXES, code_files, project_files, shown

# Log lines tell people the time of day; nothing else may depend on it.
# What is logged says when: by the supervisor, and in the access log of a worker.
MAY_READ_THE_WALL_CLOCK = ("supervisor/output/wall_clock.py", "worker/access_log/line_format.py")
# An app's processes, the supervisor itself, `node --version` and the like.
MAY_START_PROCESSES = (
    "supervisor/processes/spawn.py",
    "cli/config_files/formats/evaluator.py",
    "cli/startup/installation.py",
    "supervisor/launch/starter.py",
    "supervisor/processes/programs.py",
    "supervisor/processes/become.py",
    "worker/fresh_start.py",
    "client/starting.py",
)
# Names documents that it makes.
WRITES_DOCUMENTS = ("benchmarks/",)
# One waits for conditions with growing pauses; apps sleep because apps do.
MAY_SLEEP = ("tests/support/waiting.py", "tests/support/apps/", "tests/contract/test_text.py")
PROCESS_START = re.compile(r"\bos\.(fork|exec|posix_spawn|spawn|system|popen)\w*\(|\bsubprocess\.\w+\(")
WALL_CLOCK = re.compile(r"\btime\.time(_ns)?\(|\bdatetime\.(now|utcnow|today)\(")
FIXED_SLEEP = re.compile(r"\b(time|asyncio)\.sleep\((?!0\))")
PATCHING = re.compile(r"\bunittest\.mock\b|\bmocker\b|\bMagicMock\b")
DOCUMENT = re.compile(r"[\w./-]+\.md\b")
HOME_OF_SOMEBODY = re.compile(r"(?<![\w.])/(home|root|Users|work)/\w")


def lines_with(pattern: re.Pattern[str], folders: tuple[str, ...], but: tuple[str, ...]) -> list[str]:
    return [
        f"{shown(path)}:{number}: {line.strip()}"
        for path in code_files(folders)
        if not shown(path).startswith(but)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]


def test_only_the_log_reads_the_wall_clock() -> None:
    assert lines_with(WALL_CLOCK, PACKAGES, MAY_READ_THE_WALL_CLOCK) == []


def test_processes_are_started_in_few_places_only() -> None:
    assert lines_with(PROCESS_START, PACKAGES, MAY_START_PROCESSES) == []
    started = lines_with(PROCESS_START, PACKAGES, ())
    assert {line.partition(":")[0] for line in started} == set(MAY_START_PROCESSES)


def test_no_test_waits_for_a_fixed_time() -> None:
    assert lines_with(FIXED_SLEEP, ("tests",), MAY_SLEEP) == []


def test_no_test_patches_the_system() -> None:
    assert lines_with(PATCHING, ("tests",), ("tests/contract/test_text.py",)) == []


def test_every_document_that_is_named_exists() -> None:
    names = {path.name for path in project_files()}
    missing = [
        f"{shown(path)} names {document}"
        for path in project_files()
        if path.suffix in TEXT_SUFFIXES and not shown(path).startswith(WRITES_DOCUMENTS)
        for document in DOCUMENT.findall(path.read_text(errors="replace"))
        if document.rpartition("/")[2] not in names
    ]
    assert missing == []


def test_no_file_names_a_directory_of_its_author() -> None:
    named = [
        f"{shown(path)}: {found.group()}"
        for path in project_files()
        if path.suffix in TEXT_SUFFIXES
        if (found := HOME_OF_SOMEBODY.search(path.read_text(errors="replace")))
    ]
    assert [line for line in named if not line.startswith("tests/contract/test_text.py")] == []
    assert not any(
        str(ROOT) in path.read_text(errors="replace")
        for path in project_files()
        if path.suffix in TEXT_SUFFIXES
    )


@pytest.mark.parametrize("folder", [*PACKAGES, "tests"])
def test_every_file_begins_with_what_it_is(folder: str) -> None:
    silent = [
        shown(path)
        for path in code_files([folder], [".py"])
        if path.read_text() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []
