"""Owns one action that one worker is asked for, and what becomes of it. Runs in the supervisor process."""

import asyncio
import time
from dataclasses import dataclass, field

from .files import ActionFile, ActionFiles

# Seconds within which a worker that is not blocked begins.
PATIENCE = 5.0
ENDED = "its process has ended"


@dataclass(frozen=True)
class ActionOutcome:
    """How it ended.

    Attributes:
        ok: it was done.
        text: what came of it, or why not.
        known: names of the actions that there are, if it was none of them, or none was asked for.
        is_unknown: it was none of them.
    """

    ok: bool
    text: str
    known: list[str] = field(default_factory=list)
    is_unknown: bool = False


class ActionCall:
    """What a worker is asked to do.

    Args:
        name: of the action; empty: say which there are.
        param: a text; None: nothing.
        timeout: seconds after which nobody waits, from when it has begun.
        worker_id: whose.
        files: where it may write one.

    Attributes:
        begin_by: monotonic seconds, after which it shall not begin.
    """

    def __init__(self, name: str, param: str | None, timeout: float, worker_id: int, files: ActionFiles) -> None:
        self.name = name
        self.param = param
        self.timeout = timeout
        self.begin_by = time.monotonic() + PATIENCE
        self._worker_id = worker_id
        self._files = files
        self._file: ActionFile | None = None

    async def open_file(self, ending: str) -> ActionFile:
        """Create the file that the action is to write; its name ends with `ending`. Once.

        Raises:
            FastlbError: it cannot be created.
        """
        self._file = await asyncio.to_thread(self._files.create, self._worker_id, self.name, ending)
        return self._file

    async def take_file(self, *, is_wanted: bool) -> str:
        """Return the path of the file that was written; "": there is none, or it is not wanted, and is gone."""
        file, self._file = self._file, None
        if file is None:
            return ""
        return await asyncio.to_thread(file.keep if is_wanted else file.discard)

    def close(self) -> None:
        """Remove a file that nobody has taken."""
        if self._file is not None:
            self._file.discard()


class Waiting:
    """Somebody waits for an action to begin and to end. `note`: what to say besides when there is no answer."""

    def __init__(self) -> None:
        self.note = ""
        self.begun = asyncio.Event()
        self._outcome: asyncio.Future[ActionOutcome] = asyncio.get_running_loop().create_future()

    def end(self, outcome: ActionOutcome) -> None:
        """Say how it ended; only the first word counts."""
        self.begun.set()
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    async def outcome(self, timeout: float, blocked: str) -> ActionOutcome:
        """Return how it ends; a failure with the text `blocked` when it does not begin, or when it takes too long."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self.begun.wait()
        except TimeoutError:
            return ActionOutcome(False, blocked)
        try:
            async with asyncio.timeout(timeout):
                return await self._outcome
        except TimeoutError:
            return ActionOutcome(False, f"has not answered within {timeout:g} s{self.note}")


class PendingActions:
    """Those that one worker process was asked for and has not answered, by number."""

    def __init__(self) -> None:
        self._waiting: dict[int, Waiting] = {}
        self._last = 0

    def open(self) -> tuple[int, Waiting]:
        """Return a number that was never used, and who waits under it until `close`."""
        self._last += 1
        waiting = self._waiting[self._last] = Waiting()
        return self._last, waiting

    def close(self, number: int) -> None:
        """Nobody waits any more."""
        self._waiting.pop(number, None)

    def note_begun(self, number: int) -> None:
        """It has begun."""
        if waiting := self._waiting.get(number):
            waiting.begun.set()

    def note(self, number: int, text: str) -> None:
        """Have whoever waits told something besides, if there is no answer."""
        if waiting := self._waiting.get(number):
            waiting.note = text

    def end(self, number: int, outcome: ActionOutcome) -> bool:
        """It has ended. Returns whether somebody waits for it."""
        waiting = self._waiting.get(number)
        if waiting:
            waiting.end(outcome)
        return waiting is not None

    def end_all(self, reason: str) -> None:
        """None of them will be answered."""
        for waiting in self._waiting.values():
            waiting.end(ActionOutcome(False, reason))
