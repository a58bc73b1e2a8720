"""Owns the messages of what is loaded into a Node worker before the app, target/preload.cjs. Pure; no I/O.

Used in the supervisor process. A worker without it, such as one of Deno's, is drained by Node's own `disconnect`. What
it says is the worker's claim, as everything else.
"""

from typing import Any

import msgspec

from ..actions.call import ActionCall

COMMAND = "NODE_FASTLB"
# How long an idle keep-alive connection stays: a request that is on its way arrives within it.
IDLE_MS = 500


class Preloaded(msgspec.Struct, frozen=True):
    """It is there, and can be told to drain."""


class Draining(msgspec.Struct, frozen=True):
    """It has begun to drain; whether the app listens for kill_signal, and for messages."""

    hears_signal: bool = False
    hears_messages: bool = False


class Idle(Draining, frozen=True):
    """It has no open connection; fields as in Draining."""


class ActionBegun(msgspec.Struct, frozen=True):
    """It has read a question or a request with this number: the event loop is not blocked."""

    number: int


class ActionDone(msgspec.Struct, frozen=True):
    """An action has ended; `text`: what came of it, or why not."""

    number: int
    ok: bool
    text: str


PreloadWord = Preloaded | Draining | ActionBegun | ActionDone
ACTS: dict[str, type[Any]] = {
    "here": Preloaded,
    "draining": Draining,
    "idle": Idle,
    "action_begun": ActionBegun,
    "action_done": ActionDone,
}


def encode_drain(signal: str) -> bytes:
    """No connection comes any more; `signal` is the one that would tell the app to end."""
    return _encode({"act": "drain", "signal": signal, "idle_ms": IDLE_MS})


def encode_release() -> bytes:
    """The app has closed its servers: nothing of ours is to keep the process alive."""
    return _encode({"act": "release"})


def encode_question(number: int) -> bytes:
    """Say whether the event loop goes round."""
    return _encode({"act": "question", "number": number})


def encode_action(number: int, call: ActionCall, path: str) -> bytes:
    """Do an action of ours, and write its file to `path`, which is there and empty."""
    fields = {"number": number, "name": call.name, "param": call.param, "begin_by": call.begin_by, "path": path}
    return _encode({"act": "action", **fields})


def _encode(fields: dict[str, object]) -> bytes:
    return msgspec.json.encode({"cmd": COMMAND, **fields}) + b"\n"
