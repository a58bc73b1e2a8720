"""Owns starting apps: by the command itself, in a process of its own. Runs in the user's program.

A start enters the directory of the app and gives it the environment of who starts it. A program with threads cannot
lend its own.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ..cli.operations import Answer
from ..supervisor.errors import FastlbError
from ..supervisor.home.paths import default_home

PREFIX = "error: "


def start_by_command(arguments: Sequence[str], cwd: Path | None, env: Mapping[str, str] | None) -> list[Answer]:
    """Run `fastlb start ARGUMENTS --json`, and return how it ended for each app.

    Args:
        arguments: behind `start`.
        cwd: directory in which they are meant; None: ours.
        env: variables beside our own.

    Raises:
        FastlbError: nothing was started, or an app was not.
    """
    command = [sys.executable, "-P", "-m", "fastlb", "start", "--json", *arguments]
    environment = {**os.environ, **(env or {}), "FASTLB_HOME": str(default_home()), "NO_COLOR": "1"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    try:
        answers = msgspec.json.decode(done.stdout.encode(), type=list[Answer])
    except msgspec.DecodeError:
        raise failure(done.stderr, done.returncode) from None
    if failed := [answer for answer in answers if not answer.ok]:
        first = failed[0]
        raise FastlbError(first.text, details=first.details, exit_code=done.returncode)
    return answers


def failure(said: str, exit_code: int) -> FastlbError:
    """Return what a command has said on standard error; what it said besides is in `details`."""
    lines = said.splitlines()
    last = max((at for at, line in enumerate(lines) if line.startswith(PREFIX)), default=None)
    if last is None:
        return FastlbError(said.strip() or "the command ended without a word", exit_code=exit_code or 1)
    details = "\n".join(lines[:last] + lines[last + 1 :])
    return FastlbError(lines[last].removeprefix(PREFIX), details=details, exit_code=exit_code)
