"""Owns how an app's answer is looked at by the families of metrics, and how a figure of it is declared.

Pure; runs in the supervisor process and in the user's shell.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from ..control.protocol import AppEntry, AppMetrics, WorkerEntry, WorkerFigures

Subject = TypeVar("Subject")


def escaped(text: str) -> str:
    """Return text as it may stand in a HELP line or between the quotes of a label."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def quoted(label: str, value: str) -> str:
    """Return a label and its value as they stand between the braces."""
    return f'{label}="{escaped(value)}"'


@dataclass(frozen=True)
class Figure(Generic[Subject]):
    """A metric with one value for each subject.

    Attributes:
        name: of the family; that of a counter without `_total`.
        meaning: for its HELP line and its row in docs/metrics.md.
        value: takes it from a subject; None: this one has none.
    """

    name: str
    kind: Literal["counter", "gauge"]
    meaning: str
    value: Callable[[Subject], float | None]


@dataclass(frozen=True)
class WorkerWork:
    """A worker with all of its processes: during a reload it has two.

    Attributes:
        entries: one for each process, the newest last.
        figures: of the worker; None: nobody knows them.
    """

    id: int
    entries: Sequence[WorkerEntry]
    figures: WorkerFigures | None

    @property
    def newest(self) -> WorkerEntry:
        """The entry of the newest process."""
        return self.entries[-1]

    @property
    def requests(self) -> int | None:
        """Requests that were begun; None: nobody counts them."""
        counts = [entry.requests for entry in self.entries if entry.requests is not None]
        return sum(counts) if counts else None

    def figure(self, name: str) -> float | None:
        """Return one of the figures; None: nobody knows it."""
        return getattr(self.figures, name) if self.figures else None


class AppView:
    """An app as the families look at it.

    Attributes:
        entry: what it has answered.
        metrics: the same; None: it knows no more than its entry.
        labels: of the app, as they stand between the braces.
        workers, listeners: each with its labels.
    """

    def __init__(self, entry: AppEntry) -> None:
        self.entry = entry
        self.metrics = entry if isinstance(entry, AppMetrics) else None
        self.labels = quoted("app", entry.name)
        self.workers = [(f'{self.labels},worker="{worker.id}"', worker) for worker in workers_of(entry)]
        listeners = self.metrics.listeners if self.metrics else []
        self.listeners = [(f"{self.labels},{quoted('listener', one.address)}", one) for one in listeners]


@dataclass(frozen=True)
class Words:
    """Counts of an app by words.

    Attributes:
        labels: names of the labels that the words are values of.
        values: takes them from an app; a key is a word, or one for each label.
    """

    name: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...]
    meaning: str
    values: Callable[[AppView], Mapping[Any, float]]


def workers_of(app: AppEntry) -> list[WorkerWork]:
    """Return the workers of an app, by their numbers."""
    figures = {one.id: one for one in app.figures} if isinstance(app, AppMetrics) else {}
    by_id: dict[int, list[WorkerEntry]] = {}
    for entry in sorted(app.workers, key=lambda worker: (worker.id, worker.generation)):
        by_id.setdefault(entry.id, []).append(entry)
    return [WorkerWork(number, entries, figures.get(number)) for number, entries in by_id.items()]
