"""Owns what each signal asks for. Runs in the supervisor process; handlers only pass it on."""

import asyncio
import signal
from collections.abc import Callable
from enum import Enum, auto

from .processes.held_signals import release_signals


class SignalMeaning(Enum):
    """What a signal can ask of a running app."""

    STOP = auto()  # drain; a second one at once
    STOP_AT_ONCE = auto()
    RELOAD = auto()
    SCALE_UP = auto()  # by one worker
    SCALE_DOWN = auto()
    REOPEN_LOGS = auto()
    NOTHING = auto()  # other servers mean something by it; it must not end us


MEANING: dict[signal.Signals, SignalMeaning] = {
    signal.SIGTERM: SignalMeaning.STOP,
    signal.SIGINT: SignalMeaning.STOP,
    signal.SIGQUIT: SignalMeaning.STOP_AT_ONCE,
    signal.SIGHUP: SignalMeaning.RELOAD,
    signal.SIGTTIN: SignalMeaning.SCALE_UP,
    signal.SIGTTOU: SignalMeaning.SCALE_DOWN,
    signal.SIGUSR1: SignalMeaning.REOPEN_LOGS,
    signal.SIGUSR2: SignalMeaning.NOTHING,
    signal.SIGALRM: SignalMeaning.NOTHING,
    signal.SIGVTALRM: SignalMeaning.NOTHING,
    signal.SIGPROF: SignalMeaning.NOTHING,
    signal.SIGIO: SignalMeaning.NOTHING,
    signal.SIGPWR: SignalMeaning.NOTHING,
    signal.SIGSTKFLT: SignalMeaning.NOTHING,
}
_ENDS_NOTHING = (SignalMeaning.REOPEN_LOGS, SignalMeaning.NOTHING)
HARMLESS = [number for number, meaning in MEANING.items() if meaning in _ENDS_NOTHING]


def outlive_harmless_signals() -> None:
    """Let nothing happen on a signal that is to end nothing, until `pass_on_signals`.

    By a handler and not by SIG_IGN, which the workers would inherit.
    """
    for number in HARMLESS:
        signal.signal(number, lambda *_: None)


def pass_on_signals(on_signal: Callable[[SignalMeaning, signal.Signals], None]) -> None:
    """Call `on_signal` on the running loop for every signal that has a meaning, also for those that were held.

    A SIGHUP that is ignored stays ignored: whoever asked for that (nohup) wants to outlive the terminal.
    """
    loop = asyncio.get_running_loop()
    for number, meaning in MEANING.items():
        if number is signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            continue
        loop.add_signal_handler(number, on_signal, meaning, number)
    release_signals()
