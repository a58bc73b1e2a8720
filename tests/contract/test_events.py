"""Every event that the supervisor can write is explained in docs/events.md, and nothing else is."""

import re

from fastlb.supervisor.operations import Operation

from .events import event_names, names_in
from .pages import DOCS

PAGE = DOCS / "events.md"
NAME = re.compile(r"`([a-z]+(?:_[a-z]+)+|remark)`")
ENDING = re.compile(r"`\*(_[a-z]+)`")
# What the shell says, and members of the objects.
NOT_OF_THE_SUPERVISOR = {"events_missed", "worker_id", "lost_lines"}


def documented_names() -> set[str]:
    rows = [line.split("|")[1:-1] for line in PAGE.read_text().splitlines() if line.startswith("|")]
    firsts = " ".join(row[0] for row in rows) + PAGE.read_text().rpartition("\n## ")[2]
    endings = ENDING.findall(firsts)
    return set(NAME.findall(firsts)) | {operation.verb + ending for operation in Operation for ending in endings}


def test_every_event_is_explained() -> None:
    assert event_names() - documented_names() == set(), "say in docs/events.md what this means"


def test_every_event_that_is_explained_exists() -> None:
    assert documented_names() - event_names() - NOT_OF_THE_SUPERVISOR == set()


def test_names_are_found() -> None:
    text = 'self._log.info(f"{verb}_begun"); log.error("it_broke", a="not_this"); Report("one" if x else "two", y)'
    assert {"reload_begun", "it_broke"} <= set(names_in(text))
    assert "not_this" not in set(names_in(text))
    assert len(event_names()) > 70
