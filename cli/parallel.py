"""Owns asking several apps at a time. Runs in the user's shell, one thread an app.

The threads are daemons: ^C ends the command at once, whatever they wait for.
"""

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TypeVar

from ..supervisor.errors import FastlbError

Answer = TypeVar("Answer")


def ask_each(ask: Callable[[str], Answer], names: Sequence[str]) -> list[Answer | FastlbError]:
    """Return, for each name in order, what `ask(name)` returned or the FastlbError that it raised.

    Whatever else one of them raises (a reader that went away) is raised at once; the others are not waited for.
    """
    if len(names) == 1:
        return [answer_of(ask, names[0])]
    arriving: SimpleQueue[tuple[str, Answer | BaseException]] = SimpleQueue()

    def note_answer(name: str) -> None:
        try:
            arriving.put((name, ask(name)))
        except BaseException as error:  # noqa: BLE001 - it is raised by whoever asked
            arriving.put((name, error))

    for name in names:
        threading.Thread(target=note_answer, args=(name,), daemon=True).start()
    answers: dict[str, Answer | FastlbError] = {}
    while len(answers) < len(names):
        name, answer = arriving.get()
        if isinstance(answer, BaseException) and not isinstance(answer, FastlbError):
            raise answer
        answers[name] = answer
    return [answers[name] for name in names]


def answer_of(ask: Callable[[str], Answer], name: str) -> Answer | FastlbError:
    """Return what `ask(name)` returned, or the FastlbError that it raised."""
    try:
        return ask(name)
    except FastlbError as error:
        return error
