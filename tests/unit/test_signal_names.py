"""Signals that a user may type, and those that a worker must not be sent."""

import signal

import pytest
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.settings.signal_names import parse_signal, signal_name
from fastlb.supervisor.workers.signalling import objection

TERM, KILL, STOP, USR2, CHLD = signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, signal.SIGUSR2, signal.SIGCHLD


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("SIGUSR2", "SIGUSR2"),
        ("usr2", "SIGUSR2"),
        (" 12 ", "SIGUSR2"),
        ("9", "SIGKILL"),
        ("SIGRTMIN", "SIGRTMIN"),
        ("rtmin+3", "SIGRTMIN+3"),
        ("SIGRTMAX-1", "SIGRTMIN+29"),
        ("RTMAX", "SIGRTMAX"),
        ("64", "SIGRTMAX"),
        ("34", "SIGRTMIN"),
    ],
)
def test_signals_are_known_by_name_and_number(text: str, name: str) -> None:
    number = parse_signal(text)
    assert signal_name(number) == name
    assert parse_signal(name) == number


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SIGTREM", "did you mean SIGTERM"),
        ("0", "no signal that one may send"),
        ("32", "no signal that one may send"),
        ("33", "no signal that one may send"),
        ("65", "no signal that one may send"),
        ("999", "no signal that one may send"),
        ("9999", "there is no signal"),
        ("-1", "there is no signal"),
        ("²", "there is no signal"),
        ("", "there is no signal"),
        ("RTMIN+99", "there is no signal"),
        ("RTMAX-99", "there is no signal"),
        ("RTMIN+x", "there is no signal"),
    ],
)
def test_what_is_no_signal_is_said(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_signal(text)


# (signal, is handled, is served): what stands in its way
OBJECTIONS = {
    (USR2, True, True): "",
    (USR2, False, True): "has no handler",
    (USR2, True, False): "",
    (USR2, False, False): "has no handler",
    (TERM, True, True): "",
    (TERM, False, True): "has no handler",
    (TERM, False, False): "",
    (KILL, False, True): "would lose the requests",
    (KILL, False, False): "",
    (STOP, False, True): "would stand still",
    (STOP, False, False): "",
    (signal.SIGTSTP, True, True): "",
    (signal.SIGTSTP, False, True): "would stand still",
    (CHLD, False, True): "",
    (signal.SIGRTMIN + 1, False, False): "has no handler",
}


@pytest.mark.parametrize(("case", "words"), OBJECTIONS.items())
def test_signal_that_breaks_a_worker_is_refused(case: tuple[int, bool, bool], words: str) -> None:
    number, is_handled, is_served = case
    found = objection(number, is_handled, is_served=is_served)
    assert found.startswith(words)
    assert bool(found) is bool(words)
