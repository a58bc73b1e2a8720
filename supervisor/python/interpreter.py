"""Owns which Python runs the workers of a Python app: ours, or that of another virtual environment.

Runs in the supervisor, and in the user's shell to check it before a start; the app's cwd is the working directory. What
it asks of another Python is whether it has fastlb; it must never install anything.
"""

import sys
from collections.abc import Mapping

from ...worker.wire import WIRE_VERSION
from ..errors import FastlbError, UsageError
from ..processes.programs import answer_of, find_interpreter, split_words
from ..settings.app_config import AppConfig

# -P: a file of the app must not shadow a module of ours.
QUESTION = ("-P", "-c", "import fastlb.worker.wire as w; print('fastlb of wire', w.WIRE_VERSION)")
ANSWER = "fastlb of wire "
# With these Python runs something else than a worker.
REFUSED_OPTIONS = ("-c", "-m", "-", "-h", "--help", "-V", "--version", "-i")


def python_command(config: AppConfig, environment: Mapping[str, str]) -> list[str]:
    """Return the Python that runs the workers, which have `environment` in common, and its options.

    Raises:
        UsageError: the interpreter or an option is wrong.
        FastlbError: it is no Python that can run workers; the message says what to do.
    """
    options = [word for text in config.interpreter_args for word in split_words("--interpreter-args", text)]
    for option in options:
        if option in REFUSED_OPTIONS:
            raise UsageError(f"--interpreter-args {option}: with it Python runs no worker: leave it out")
    if not config.interpreter:
        return [sys.executable, *options]
    path = find_interpreter(config.interpreter, environment)
    _refuse_without_fastlb(path, answer_of([path, *QUESTION], environment, "give another --interpreter"))
    return [path, *options]


def _refuse_without_fastlb(path: str, answer: str) -> None:
    said = answer.rpartition("\n")[2]
    if said == f"{ANSWER}{WIRE_VERSION}":
        return
    if said.startswith(ANSWER):
        raise FastlbError(
            f"--interpreter {path} has another version of fastlb than this command:"
            f" `{path} -m pip install fastlb=={_version()}`"
        )
    if "No module named 'fastlb'" in answer:
        raise FastlbError(
            f"--interpreter {path} has no fastlb, whose code runs in the workers:"
            f" `{path} -m pip install fastlb=={_version()}`"
        )
    raise FastlbError(
        f"--interpreter {path} cannot run workers, and answers {said[:200]!r}: give a Python of 3.11 or newer"
    )


def _version() -> str:
    from importlib.metadata import version

    return version("fastlb")
