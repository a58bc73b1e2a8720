"""What a worker's page claims about itself, and when that is worth a word."""

from typing import TYPE_CHECKING, Any, cast

import pytest
from fastlb.supervisor.python.claims import STANDS_AFTER, ClaimWatch, impediment_in

if TYPE_CHECKING:
    from fastlb.lb.page import WorkerCounters  # a name of the stub only

PAGE: dict[str, Any] = {"taken": 5, "closed": 2, "open": 3, "busy": 1, "pressure": 0}


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ({}, ""),
        ({"busy": 3}, ""),
        ({"pressure": 1}, "short of descriptors"),
        ({"closed": 6, "open": 0}, "closed more connections than it took"),
        ({"taken": 2**63 - 1, "open": 2**63 - 3}, "more connections open than"),
        ({"busy": 4}, "busy than open"),
        ({"busy": 4, "pressure": 1}, "busy than open"),
    ],
)
def test_claims(claim: dict[str, int], words: str) -> None:
    found = impediment_in(cast("WorkerCounters", {**PAGE, **claim}), 1024)
    assert words in found
    assert bool(words) == bool(found)


def test_only_what_stands_is_told_and_only_once() -> None:
    watch = ClaimWatch()
    assert [watch.look("a", 1.0) for _ in range(3)] == [""] * 3
    assert watch.look("a", STANDS_AFTER) == "a"
    assert watch.impediment == "a"
    assert watch.look("a", 1.0) == ""
    assert watch.look("", 1.0) == ""
    assert watch.impediment == ""
    assert watch.look("b", 100.0) == ""
    assert watch.look("b", STANDS_AFTER) == "b"


def test_what_comes_and_goes_is_not_told() -> None:
    watch = ClaimWatch()
    for _ in range(10):
        assert watch.look("a", STANDS_AFTER - 1) == ""
        assert watch.look("", 1.0) == ""
    assert watch.impediment == ""
