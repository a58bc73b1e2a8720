"""Owns asking several apps at a time. Runs in the user's shell, one thread an app.

The threads are daemons: ^C ends the command at once, whatever they wait for.
"""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..supervisor.errors import FastlbError

Answer = TypeVar("Answer")


def ask_each(ask: Callable[[str], Answer], names: Sequence[str]) -> list[Answer | FastlbError]:
    """Return, for each name in order, what `ask(name)` returned or the FastlbError that it raised."""
    if len(names) == 1:
        return [answer_of(ask, names[0])]
    answers: dict[str, Answer | FastlbError] = {}

    def note_answer(name: str) -> None:
        answers[name] = answer_of(ask, name)

    threads = [threading.Thread(target=note_answer, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[name] for name in names]


def answer_of(ask: Callable[[str], Answer], name: str) -> Answer | FastlbError:
    """Return what `ask(name)` returned, or the FastlbError that it raised."""
    try:
        return ask(name)
    except FastlbError as error:
        return error
