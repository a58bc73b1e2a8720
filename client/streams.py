"""Owns what is read one by one: lines, events, answers, and the steps of an operation. Runs in the user's program.

Whoever waits in `next` is freed by `close` from any thread.
"""

import contextlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ..supervisor.control.progress import Progress
from ..supervisor.control.protocol import Done
from ..supervisor.home.paths import at_home

Item = TypeVar("Item")
# What every source yields first: it has begun, and what comes from here on is seen.
BEGUN: Any = None


class Stream(Generic[Item]):
    """An iterator that can be closed. Use as a context manager, or read it to its end.

    Args:
        home: of the apps; None: $FASTLB_HOME.
        items: BEGUN, then what is read.
        interrupt: ends what `items` waits for.

    Raises:
        FastlbError: it cannot begin.
    """

    def __init__(self, home: Path | None, items: Generator[Item, None, None], interrupt: Callable[[], None]) -> None:
        self._home = home
        self._items = items
        self._interrupt = interrupt
        next(self)

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        """Wait for the next one.

        Raises:
            FastlbError: what the command would say.
        """
        with at_home(self._home):
            return next(self._items)

    def close(self) -> None:
        """Want no more. May be called twice, and while another thread waits."""
        self._interrupt()
        with contextlib.suppress(ValueError):  # another thread is in it, and leaves it now
            self._items.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()


class Operation(Stream[Progress]):
    """Something that is done to an app, and has begun: its steps, and how it ended.

    Nobody has to look: it goes on when it is closed, or forgotten.

    Attributes:
        text: the sentence that the command would print; empty: it has not ended.
    """

    def __init__(
        self, home: Path | None, steps: Generator[Progress, None, Done], interrupt: Callable[[], None]
    ) -> None:
        self.text = ""
        super().__init__(home, self._remembering(steps), interrupt)

    def _remembering(self, steps: Generator[Progress, None, Done]) -> Generator[Progress, None, None]:
        done = yield from steps
        self.text = done.text

    def wait(self) -> str:
        """Wait for its end, and return the sentence that the command would print.

        Raises:
            FastlbError: it failed.
        """
        for _ in self:
            pass
        return self.text
