"""Owns "did you mean" of the command line and the control socket. Pure; any process.

What is proposed may be typed without a thought, so it must never be a command that ends or forgets an app.
"""

from collections.abc import Iterable

DESTRUCTIVE = frozenset({"stop", "restart", "startOrRestart", "delete", "del", "rm", "kill"})


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the word of `known` that `word` was probably meant to be, or None."""
    from ..worker.nearest_word import nearest_word  # only a mistake needs it

    return nearest_word(word, known)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean NEAREST?`, or nothing, to be put behind a message."""
    suggestion = nearest(word, known)
    return f"; did you mean {suggestion}?" if suggestion else ""


def harmless(commands: Iterable[str]) -> list[str]:
    """Return those of `commands` that may be proposed."""
    return [command for command in commands if command not in DESTRUCTIVE]
