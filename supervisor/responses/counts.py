"""Owns counts of responses by their status: sums, and what has come. Pure; the supervisor process and the shell."""

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)

# What has a series from the start, so that a rate sees the first one of it.
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


def added(counts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Return the sum of counts."""
    found: dict[int, int] = {}
    for one in counts:
        for number, count in one.items():
            found[number] = found.get(number, 0) + count
    return found


def grown(after: Mapping[Key, int], before: Mapping[Key, int]) -> dict[Key, int]:
    """Return what came to `after` since `before`, an earlier look; what has not grown is left out."""
    came = {key: count - before.get(key, 0) for key, count in after.items()}
    return {key: count for key, count in came.items() if count > 0}


def by_class(responses: Mapping[int, int]) -> dict[str, int]:
    """Return how many responses there were of each class of statuses: 2xx, 4xx."""
    found = dict.fromkeys(CLASSES, 0)
    for status, count in responses.items():
        word = f"{status // 100}xx"
        found[word] = found.get(word, 0) + count
    return found
