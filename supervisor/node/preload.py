"""Owns the messages of what is loaded into a Node worker before the app, target/preload.cjs. Pure; no I/O.

Used in the supervisor process. A worker without it, such as one of Deno's, is drained by Node's own `disconnect`. What
it says is the worker's claim, as everything else.
"""

from typing import Any

import msgspec

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


ACTS: dict[str, type[Any]] = {"here": Preloaded, "draining": Draining, "idle": Idle}


def encode_drain(signal: str) -> bytes:
    """No connection comes any more; `signal` is the one that would tell the app to end."""
    return _encode({"act": "drain", "signal": signal, "idle_ms": IDLE_MS})


def encode_release() -> bytes:
    """The app has closed its servers: nothing of ours is to keep the process alive."""
    return _encode({"act": "release"})


def _encode(fields: dict[str, object]) -> bytes:
    return msgspec.json.encode({"cmd": COMMAND, **fields}) + b"\n"
