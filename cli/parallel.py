"""Owns asking several apps at a time. Runs in the user's shell, one thread an app.

The threads are daemons: ^C ends the command at once, whatever they wait for.
"""

import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from queue import SimpleQueue
from typing import TypeVar

import msgspec

from ..supervisor.control.client import ANSWER_TYPES
from ..supervisor.errors import FastlbError
from ..supervisor.settings.app_config import AppConfig

Answer = TypeVar("Answer")


def ask_each(ask: Callable[[str], Answer], names: Sequence[str]) -> list[Answer | FastlbError]:
    """Return, for each name in order, what `ask(name)` returned or the FastlbError that it raised.

    Whatever else one of them raises (a reader that went away) is raised at once; the others are not waited for.
    """
    if len(names) == 1:
        return [answer_of(ask, names[0])]
    _build_types()
    arriving: SimpleQueue[tuple[str, Answer | BaseException]] = SimpleQueue()

    def note_answer(name: str) -> None:
        try:
            arriving.put((name, ask(name)))
        except BaseException as error:  # noqa: BLE001 - it is raised by whoever asked
            arriving.put((name, error))

    for name in names:
        threading.Thread(target=copy_context().run, args=(note_answer, name), daemon=True).start()
    answers: dict[str, Answer | FastlbError] = {}
    while len(answers) < len(names):
        name, answer = arriving.get()
        if isinstance(answer, BaseException) and not isinstance(answer, FastlbError):
            raise answer
        answers[name] = answer
    return [answers[name] for name in names]


def _build_types() -> None:
    """Have everything built that msgspec must know of the types that the threads will decode.

    It builds that when a type is used for the first time, and two threads that do so at once end the process by SIGSEGV
    (msgspec 0.22, seen with 24 threads in one run of 20).
    """
    for type_ in (AppConfig, *ANSWER_TYPES):
        msgspec.json.Decoder(type_)


def answer_of(ask: Callable[[str], Answer], name: str) -> Answer | FastlbError:
    """Return what `ask(name)` returned, or the FastlbError that it raised."""
    try:
        return ask(name)
    except FastlbError as error:
        return error
