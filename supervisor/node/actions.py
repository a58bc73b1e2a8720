"""Owns the actions of one Node worker: those of PM2's library, @pm2/io or pmx, and ours.

Runs in the supervisor process. The app says by `process.send` which it offers ({"type": "axm:action"}) and what came of
one ({"type": "axm:reply"}); it is asked by a message as PM2 sends it (lib/God/ActionMethods.js, msgProcess). Ours are
done by target/actions.cjs, which is loaded when somebody asks. All that a worker says is a claim, and bounded.
"""

from typing import Any, Protocol

import msgspec

from ...worker.actions.registry import MAX_NAME_CHARACTERS
from ...worker.actions.wire import MOST_KNOWN, bounded_names, bounded_text
from ..actions.call import ENDED, ActionCall, ActionOutcome, PendingActions, Waiting
from ..errors import FastlbError
from ..suggestions import did_you_mean
from .messages import encode_user_message
from .preload import ActionBegun, ActionDone, encode_action, encode_question

# Ours, each with how the name of its file ends.
ENDINGS = {"heapdump": "heapsnapshot", "generateHeapDump": "heapsnapshot", "cpuprofile": "cpuprofile"}
BLOCKED = "does not answer, and nothing was done: its event loop is blocked, or its process is stopped"
APP_BLOCKED = "does not answer: its event loop is blocked, or its process is stopped; it may do it when that is over"
UNSURE = "; an earlier call, which was given up, may have been answered with: "
# Ours, which only tell something, and are no actions that people ask for.
TELLING = frozenset({"fastlb:metrics"})
SILENCING = frozenset({"heapdump", "generateHeapDump"})
NO_PRELOAD = "has nothing of ours loaded that could do it (--no-node-preload, or another runtime than Node)"


class Writer(Protocol):
    """What writes to the worker: the part of NodeLink that is used here."""

    @property
    def is_written_to(self) -> bool:
        """Whether its channel is open."""

    def write(self, line: bytes) -> None:
        """Write a message."""


class NodeActions:
    """What one process offers, and was asked for.

    Attributes:
        is_preloaded: what is loaded before the app has said that it is there.
    """

    def __init__(self, link: Writer) -> None:
        self.is_preloaded = False
        self._silencing: list[Waiting] = []
        self._link = link
        self._offered: set[str] = set()
        self._pending = PendingActions()
        self._numbers: dict[str, list[int]] = {}  # of what the app was asked for and has not answered, by name

    @property
    def is_silent(self) -> bool:
        """Whether the process does something for us now that lets it say nothing meanwhile."""
        return any(waiting.begun.is_set() for waiting in self._silencing)

    def take(self, value: Any) -> bool:
        """Take a message of the app; False: it is not one of PM2's library, which means others nothing."""
        if not isinstance(value, dict) or not str(value.get("type")).startswith("axm:"):
            return False
        data = value.get("data")
        name = data.get("action_name") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(name, str):
            return True
        if value["type"] == "axm:action" and data.get("action_type") != "scoped":
            if len(name) <= MAX_NAME_CHARACTERS and len(self._offered) < MOST_KNOWN:
                self._offered.add(name)
        elif value["type"] == "axm:reply":
            self._take_reply(name, text_of(data.get("return")))
        return True

    def _take_reply(self, name: str, text: str) -> None:
        """Take a reply, which says of which action it is, and not to which call: the oldest one is answered."""
        numbers = self._numbers.get(name)
        if numbers and not self._pending.end(numbers.pop(0), ActionOutcome(True, text)) and numbers:
            # If that one is never answered, this was for the next: nobody knows, and who waits for that is told.
            self._pending.note(numbers[0], UNSURE + text)

    def on_word(self, word: ActionBegun | ActionDone) -> None:
        """Take what is loaded before the app says of an action."""
        if isinstance(word, ActionBegun):
            self._pending.note_begun(word.number)
        else:
            self._pending.end(word.number, ActionOutcome(word.ok, bounded_text(word.text)))

    async def run(self, call: ActionCall) -> ActionOutcome:
        """Ask the worker, and return its answer, or that there is none.

        Raises:
            FastlbError: the file for it cannot be created.
        """
        if call.name not in self._offered and call.name not in ENDINGS and call.name not in TELLING:
            return self._unknown(call.name)
        if not self._link.is_written_to:
            return ActionOutcome(False, "is about to go, and is asked for nothing any more")
        number, waiting = self._pending.open()
        try:
            if call.name in self._offered:
                self._ask_app(number, call)
                if not self.is_preloaded:
                    waiting.begun.set()  # nobody says when
                return await waiting.outcome(call.timeout, APP_BLOCKED)
            await self._ask_preload(number, call)
            return await self._outcome(waiting, call)
        except ValueError:
            return ActionOutcome(False, "cannot be sent so long a message")
        finally:
            self._pending.close(number)

    def close(self) -> None:
        """The process has ended."""
        self._pending.end_all(ENDED)

    def _ask_app(self, number: int, call: ActionCall) -> None:
        self._numbers.setdefault(call.name, []).append(number)
        del self._numbers[call.name][:-MOST_KNOWN]
        if self.is_preloaded:
            self._link.write(encode_question(number))
        # The library takes a bare word for an action without a parameter.
        message = call.name if call.param is None else {"msg": call.name, "opts": call.param}
        self._link.write(encode_user_message(message))

    async def _ask_preload(self, number: int, call: ActionCall) -> None:
        if not self.is_preloaded:
            raise FastlbError(NO_PRELOAD)
        path = "" if call.name in TELLING else str((await call.open_file(ENDINGS[call.name])).path)
        self._link.write(encode_action(number, call, path))

    async def _outcome(self, waiting: Waiting, call: ActionCall) -> ActionOutcome:
        """Return how an action of ours ends; who dumps its heap does not hang."""
        if call.name not in SILENCING:
            return await waiting.outcome(call.timeout, BLOCKED)
        self._silencing.append(waiting)
        try:
            return await waiting.outcome(call.timeout, BLOCKED)
        finally:
            self._silencing.remove(waiting)

    def _unknown(self, name: str) -> ActionOutcome:
        known = bounded_names(self._offered | set(ENDINGS))
        if not name:
            return ActionOutcome(True, f"actions: {', '.join(known)}", known)
        hint = did_you_mean(name, known) or f"; there are: {', '.join(known)}"
        return ActionOutcome(False, f"there is no action {name!r}{hint}", known, is_unknown=True)


def text_of(value: Any) -> str:
    """Return what an action returned as text: text as it is, all else as JSON."""
    if isinstance(value, str):
        return bounded_text(value)
    return "done" if value is None else bounded_text(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
