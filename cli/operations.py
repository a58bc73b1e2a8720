"""Owns what commands do to running apps: call a supervisor, show its progress, say how it ended.

Runs in the user's shell.
"""

import contextlib
import os
import select
import signal
from collections.abc import Callable, Sequence

import msgspec

from ..supervisor.control.client import ControlClient, NotRunning, OtherVersion
from ..supervisor.control.protocol import Done, StopParams
from ..supervisor.errors import FastlbError
from ..supervisor.home.app_lock import AppLock, find_holder, is_running, wait_until_free
from ..supervisor.home.died import forget_death
from ..supervisor.home.paths import AppPaths
from ..supervisor.home.stored_config import load_config
from .apps import ANSWER_SECONDS, NoSocket, connected, paths_of
from .options import answers_in_json
from .output import Output, ProgressDisplay
from .parallel import answer_of, ask_each

OPERATION_ANSWER_SECONDS = 5.0


class Answer(msgspec.Struct, frozen=True):
    """How it ended for one app, as `--json` of what is done to apps tells it.

    Attributes:
        app: its name.
        ok: it was done.
        text: a sentence: what was done, or why not.
        exit_code: 0, or that of the failure.
        details: of a failure: a worker's traceback, for one.
    """

    app: str
    ok: bool
    text: str
    exit_code: int = 0
    details: str = ""


def operate(name: str, method: str, params: msgspec.Struct | None = None) -> str:
    """Call `method` of the app's supervisor, show how it goes and return its closing sentence.

    Raises:
        NotRunning: the app is stopped.
        FastlbError: the operation failed, or was refused, or the supervisor does not answer.
    """
    with (
        connected(name, OPERATION_ANSWER_SECONDS) as client,
        ProgressDisplay(Output.for_errors()) as display,
    ):
        client.wait_for_ever()
        done: Done = client.call(method, params, lambda step: display.show(step.text, step.admitted, step.workers))
    return done.text


# What cannot be done to an app that is stopped, and what to do instead.
WHEN_STOPPED = {
    "reload": "there is nothing to reload: `fastlb start {name}`",
    "scale": "there are no workers to scale: `fastlb start {name} --workers N`",
    "trigger": "no worker can do it: `fastlb start {name}`",
}


def refusal_when_stopped(name: str, method: str) -> FastlbError:
    """Return why `method`, one of WHEN_STOPPED, is not done to an app that is stopped."""
    return FastlbError(f"{name} is stopped, so {WHEN_STOPPED[method].format(name=name)}")


def do_each(do: Callable[[str], str], names: Sequence[str]) -> int:
    """Do something to one app after the other, whether or not it fails for some. Return the exit code."""
    if answers_in_json():
        return _print_answers(names, [answer_of(do, name) for name in names])
    return max(_report(name, answer_of(do, name), len(names)) for name in names)


def do_each_at_once(do: Callable[[str], str], names: Sequence[str], doing: str, *, whom: str = "") -> int:
    """As `do_each`, for what may be done to all at the same time.

    `doing`: what, and `whom`: to whom, for the display; empty: the names.
    """
    with ProgressDisplay(Output.for_errors()) as display:
        display.show(f"{doing} {whom or ', '.join(names)}", 0, 0)
        answers = ask_each(do, names)
    return report_each(names, answers)


def report_each(names: Sequence[str], answers: Sequence[str | FastlbError]) -> int:
    """Print how it ended for each app; return the exit code."""
    if answers_in_json():
        return _print_answers(names, answers)
    reported = (_report(name, answer, len(names)) for name, answer in zip(names, answers, strict=True))
    return max(reported, default=0)


def stop(name: str, *, force: bool = False) -> str:
    """Stop the app and wait until its supervisor is gone. Return a sentence.

    Raises:
        FastlbError: the supervisor does not answer, or could not stop.
    """
    try:
        with connected(name, OPERATION_ANSWER_SECONDS) as client:
            done = _ask_to_stop(client, force)
            # A `start` right after must not find it there.
            client.wait_for_exit()
    except NotRunning:
        paths = paths_of(name)
        has_died = forget_death(paths, lambda: _end_left_over(paths))
        return "its supervisor had died; now it counts as stopped" if has_died else "stopped already"
    except NoSocket as error:
        return _terminate_holder(name, force, error)
    return done


def _ask_to_stop(client: ControlClient, force: bool) -> str:
    try:
        client.wait_for_ever()
        done: Done = client.call("stop", StopParams(force=force))
    except OtherVersion:
        client.wait_without_end()
        client.terminate(force=force)
        return f"stopped by a signal to its supervisor (pid {client.pid}), which another fastlb started"
    return done.text


def _end_left_over(paths: AppPaths) -> None:
    """End what the workers of a dead supervisor have left, and those that do not end by themselves."""
    import asyncio

    from ..supervisor.strays.ending import end_left_over
    from ..supervisor.strays.token import no_run

    kill_signal, kill_timeout = "SIGTERM", 0.0
    with contextlib.suppress(FastlbError):  # its file is damaged, and it is to be stopped all the same
        config = load_config(paths)
        kill_signal, kill_timeout = config.kill_signal, config.kill_timeout
    asyncio.run(end_left_over(no_run(paths), kill_signal, kill_timeout))


def _terminate_holder(name: str, force: bool, problem: FastlbError) -> str:
    """Stop the app by a signal to the process that holds its lock, for the reason `problem`. Return a sentence.

    Raises:
        FastlbError: it is not known which process that is.
    """
    paths = paths_of(name)
    holder = find_holder(paths)
    if holder is None:
        if is_running(paths):
            raise problem
        return "stopped"
    try:
        signal.pidfd_send_signal(holder.pidfd, signal.SIGQUIT if force else signal.SIGTERM)
        watch = select.poll()
        watch.register(holder.pidfd, select.POLLIN)
        watch.poll()
    except ProcessLookupError:
        pass  # it has just ended
    finally:
        holder.close()
    if find_holder(paths):
        return _terminate_holder(name, force, problem)  # it was only the command that starts the app
    wait_until_free(paths)  # a supervisor that has just begun gives up, as nobody waits for it any more
    return f"stopped by a signal to its supervisor (pid {holder.pid})"


def delete(name: str) -> str:
    """Stop the app and forget it; its logs stay. Return a sentence.

    Raises:
        FastlbError: it could not be stopped, or was started again meanwhile.
    """
    paths = paths_of(name)
    stop(name)
    try:
        lock = AppLock.acquire(paths)
    except FileNotFoundError:
        pass  # it was still in its first start, which leaves nothing when it is given up
    else:
        if lock is None:
            raise FastlbError(f"{name} was started again meanwhile: it stays")
        _remove_outside(paths)
        paths.remove()
        lock.release()
    return f"deleted; its logs stay in {paths.logs_dir}"


def _remove_outside(paths: AppPaths) -> None:
    """Remove what a supervisor that was killed has left in other places than the directory of the app."""
    from ..supervisor.own_metrics.directories import known_directories, leave_nothing_outside  # of `delete` alone

    leave_nothing_outside(known_directories(paths), paths.app_dir)


def end(name: str, *, force: bool) -> str:
    """Stop the app; a supervisor that does not answer is killed. Return a sentence.

    Raises:
        FastlbError: it can be neither stopped nor killed.
    """
    try:
        with connected(name, ANSWER_SECONDS) as client:
            if not _answers(client):
                os.kill(client.pid, signal.SIGKILL)
                client.wait_for_exit()
                return f"the supervisor (pid {client.pid}) did not answer and was killed"
    except (NotRunning, NoSocket):
        pass
    return stop(name, force=force)


def _answers(client: ControlClient) -> bool:
    try:
        client.call("ping")
    except OtherVersion:
        return True
    except FastlbError:
        return False
    return True


def say_nothing_to_do(sentence: str) -> None:
    """Print that there is no app to do anything to: `sentence`, or no answers."""
    if answers_in_json():
        Output.for_results().json([])
    else:
        Output.for_results().line(sentence)


def as_answers(names: Sequence[str], answers: Sequence[str | FastlbError]) -> list[Answer]:
    """Return what `--json` tells of how it ended for each app."""
    return [
        Answer(name, ok=False, text=answer.message, exit_code=answer.exit_code, details=answer.details)
        if isinstance(answer, FastlbError)
        else Answer(name, ok=True, text=answer)
        for name, answer in zip(names, answers, strict=True)
    ]


def _print_answers(names: Sequence[str], answers: Sequence[str | FastlbError]) -> int:
    """Print as JSON how it ended for each app; return the exit code."""
    told = as_answers(names, answers)
    Output.for_results().json(told)
    return max((answer.exit_code for answer in told), default=0)


def _report(name: str, answer: str | FastlbError, count: int) -> int:
    """Print how it ended for one app of `count`; return the exit code."""
    if not isinstance(answer, FastlbError):
        Output.for_results().line(f"{name}: {answer}")
        return 0
    # With one app there is no doubt which one is meant, and most messages name it anyway.
    is_named = count == 1 or name in answer.message
    Output.for_errors().error(answer.message if is_named else f"{name}: {answer.message}", answer.details)
    return answer.exit_code
