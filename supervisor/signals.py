"""Owns which signal means which request. Runs in the supervisor process; handlers only pass a request on."""

import asyncio
import signal
from collections.abc import Callable
from enum import Enum, auto


class Request(Enum):
    """What a signal can ask of a running app."""

    STOP = auto()  # drain; a second one at once
    STOP_AT_ONCE = auto()
    RELOAD = auto()
    SCALE_UP = auto()  # by one worker
    SCALE_DOWN = auto()


MEANING: dict[signal.Signals, Request] = {
    signal.SIGTERM: Request.STOP,
    signal.SIGINT: Request.STOP,
    signal.SIGQUIT: Request.STOP_AT_ONCE,
    signal.SIGHUP: Request.RELOAD,
    signal.SIGTTIN: Request.SCALE_UP,
    signal.SIGTTOU: Request.SCALE_DOWN,
}


def pass_on_signals(on_request: Callable[[Request, signal.Signals], None]) -> None:
    """Call `on_request` on the running loop for every signal that has a meaning.

    A SIGHUP that is ignored stays ignored: whoever asked for that (nohup) wants to outlive the terminal.
    """
    loop = asyncio.get_running_loop()
    for number, request in MEANING.items():
        if number is signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            continue
        loop.add_signal_handler(number, on_request, request, number)
