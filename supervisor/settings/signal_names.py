"""Owns what signals are called: names and numbers that a user may type. Pure; supervisor and shell."""

import signal

from ..errors import UsageError
from ..suggestions import did_you_mean

LAST_SIGNAL = 64
# What the C library sends between threads (nptl(7)): whoever sends one breaks the process.
OF_C_LIBRARY = frozenset({32, 33})


def parse_signal(text: str) -> int:
    """Return the number of a signal: SIGUSR2, USR2, usr2, 12, SIGRTMIN+3 and RTMAX-1.

    Raises:
        UsageError: there is none of this name; the nearest is named.
    """
    word = text.strip().upper()
    if word.isascii() and word.isdigit() and len(word) <= 3:
        return check_signal(int(word))
    name = word if word.startswith("SIG") else f"SIG{word}"
    number = _number(name)
    if number is None:
        raise UsageError(f"there is no signal {text!r}{did_you_mean(name, signal.Signals.__members__)}")
    return check_signal(number)


def check_signal(number: int) -> int:
    """Return a number that a program can be sent.

    Raises:
        UsageError: it is none.
    """
    if not 1 <= number <= LAST_SIGNAL or number in OF_C_LIBRARY:
        raise UsageError(f"{number} is no signal that one may send: give 1 to 31, or 34 to {LAST_SIGNAL}, or a name")
    return number


def signal_name(number: int) -> str:
    """Return what a signal is called: SIGUSR2; SIGRTMIN+3."""
    if signal.SIGRTMIN < number < signal.SIGRTMAX:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
    return signal.Signals(number).name


def _number(name: str) -> int | None:
    if name in signal.Signals.__members__:
        return signal.Signals[name].value
    for base, sign in (("SIGRTMIN+", 1), ("SIGRTMAX-", -1)):
        distance = name.removeprefix(base)
        if name.startswith(base) and distance.isascii() and distance.isdigit() and len(distance) <= 2:
            number = signal.Signals[base[:-1]] + sign * int(distance)
            return number if signal.SIGRTMIN <= number <= signal.SIGRTMAX else None
    return None
