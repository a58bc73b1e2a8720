"""Owns what commands do to running apps: call a supervisor, show its progress, say how it ended.

Runs in the user's shell.
"""

import os
import signal
from collections.abc import Callable, Sequence

import msgspec

from ..supervisor.control.client import ControlClient, NotRunning
from ..supervisor.control.protocol import Done, StopParams
from ..supervisor.errors import EXIT_FAILURE, FastlbError
from ..supervisor.runtime_dir import AppLock, is_running
from .apps import ANSWER_SECONDS, paths_of
from .output import Output, ProgressDisplay
from .parallel import ask_each


def operate(name: str, method: str, params: msgspec.Struct | None = None) -> str:
    """Call `method` of the app's supervisor, show how it goes and return its closing sentence.

    Raises:
        NotRunning: the app is stopped.
        FastlbError: the operation failed, or was refused.
    """
    with (
        ControlClient(paths_of(name).control_socket, timeout=None) as client,
        ProgressDisplay(Output.for_errors()) as display,
    ):
        done: Done = client.call(
            method, params, lambda step: display.show(step.text, step.admitted, step.workers)
        )
    return done.text


def do_each(do: Callable[[str], str], names: Sequence[str]) -> int:
    """Do something to one app after the other, whether or not it fails for some. Return the exit code."""
    return _report([_attempt(do, name) for name in names])


def do_each_at_once(do: Callable[[str], str], names: Sequence[str]) -> int:
    """As `do_each`, for what may be done to all at the same time."""
    return _report(ask_each(do, names))


def stop(name: str, *, force: bool = False) -> str:
    """Stop the app and wait until its supervisor is gone. Return a sentence.

    Raises:
        FastlbError: the supervisor does not answer, or could not stop.
    """
    paths = paths_of(name)
    try:
        with ControlClient(paths.control_socket, timeout=None) as client:
            done: Done = client.call("stop", StopParams(force=force))
            # A `start` right after must not find it there.
            client.wait_for_exit()
    except NotRunning:
        if is_running(paths):
            raise FastlbError(f"{name} is just starting or ending: try again in a moment") from None
        return f"{name} is stopped already"
    return done.text


def delete(name: str) -> str:
    """Stop the app and forget it; its logs stay. Return a sentence.

    Raises:
        FastlbError: it could not be stopped, or was started again meanwhile.
    """
    paths = paths_of(name)
    stop(name)
    lock = AppLock.acquire(paths)
    if lock is None:
        raise FastlbError(f"{name} was started again meanwhile: it stays")
    paths.remove()
    lock.release()
    return f"{name} is deleted; its logs stay in {paths.logs_dir}"


def end(name: str, *, force: bool) -> str:
    """Stop the app; a supervisor that does not answer is killed. Return a sentence.

    Raises:
        FastlbError: it can be neither stopped nor killed.
    """
    try:
        with ControlClient(paths_of(name).control_socket, ANSWER_SECONDS) as client:
            if not _answers(client):
                os.kill(client.pid, signal.SIGKILL)
                client.wait_for_exit()
                return f"{name}: its supervisor (pid {client.pid}) did not answer and was killed"
    except NotRunning:
        pass
    return stop(name, force=force)


def _answers(client: ControlClient) -> bool:
    try:
        client.call("ping")
    except FastlbError:
        return False
    return True


def _attempt(do: Callable[[str], str], name: str) -> str | FastlbError:
    try:
        return do(name)
    except FastlbError as error:
        return error


def _report(answers: Sequence[str | FastlbError]) -> int:
    exit_code = 0
    for answer in answers:
        if isinstance(answer, FastlbError):
            Output.for_errors().error(answer.message, answer.details)
            exit_code = exit_code or answer.exit_code or EXIT_FAILURE
        else:
            Output.for_results().line(answer)
    return exit_code
