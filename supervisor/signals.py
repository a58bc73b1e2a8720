"""Owns what each signal asks for. Runs in the supervisor process; handlers only pass it on."""

import asyncio
import signal
from collections.abc import Callable
from enum import Enum, auto


class SignalMeaning(Enum):
    """What a signal can ask of a running app."""

    STOP = auto()  # drain; a second one at once
    STOP_AT_ONCE = auto()
    RELOAD = auto()
    SCALE_UP = auto()  # by one worker
    SCALE_DOWN = auto()


MEANING: dict[signal.Signals, SignalMeaning] = {
    signal.SIGTERM: SignalMeaning.STOP,
    signal.SIGINT: SignalMeaning.STOP,
    signal.SIGQUIT: SignalMeaning.STOP_AT_ONCE,
    signal.SIGHUP: SignalMeaning.RELOAD,
    signal.SIGTTIN: SignalMeaning.SCALE_UP,
    signal.SIGTTOU: SignalMeaning.SCALE_DOWN,
}


def pass_on_signals(on_signal: Callable[[SignalMeaning, signal.Signals], None]) -> None:
    """Call `on_signal` on the running loop for every signal that has a meaning.

    A SIGHUP that is ignored stays ignored: whoever asked for that (nohup) wants to outlive the terminal.
    """
    loop = asyncio.get_running_loop()
    for number, meaning in MEANING.items():
        if number is signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            continue
        loop.add_signal_handler(number, on_signal, meaning, number)
