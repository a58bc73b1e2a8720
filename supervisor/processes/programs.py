"""Owns what there is to be run on this machine: programs on PATH, the first line of a script, what a command answers.

Runs in the supervisor and in the user's shell, with the app's cwd as working directory. The only commands that it
runs are those whose end is waited for here; processes of an app are started in spawn.py.
"""

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence

from ..errors import FastlbError, UsageError
from .environment import without_node_channel

LONGEST_SHEBANG = 256  # BINPRM_BUF_SIZE of Linux
ANSWER_SECONDS = 10.0


def find_interpreter(name: str, env: Mapping[str, str], what_to_do: str = "") -> str:
    """Return the absolute path of the program that `name` means for a process with the environment `env`.

    `what_to_do`: when there is none; empty: install it, or name another.

    Raises:
        UsageError: it is a path to nothing that can be executed.
        FastlbError: there is none of this name on PATH.
    """
    if "/" in name:
        if not is_executable(name):
            raise UsageError(f"--interpreter {name}: this is no file that can be executed")
        return os.path.abspath(name)
    found = shutil.which(name, path=env.get("PATH"))
    if found:
        return os.path.abspath(found)
    if " " in name:
        raise UsageError(f"--interpreter {name!r}: give the program alone, and its options by --interpreter-args")
    what_to_do = what_to_do or "install it, or give --interpreter PATH"
    raise FastlbError(f"there is no program {name!r} on PATH ({env.get('PATH', '')}): {what_to_do}")


def is_executable(path: str) -> bool:
    """Whether `path` is a file that this user may execute."""
    return os.path.isfile(path) and os.access(path, os.X_OK)


def shebang_words(script: str) -> list[str]:
    """Return what the first line of a file says that runs it, `/usr/bin/env` and `bash`; empty: no such line.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        with open(script, "rb") as file:
            line = file.read(LONGEST_SHEBANG).partition(b"\n")[0]
    except OSError as error:
        raise UsageError(f"{script} cannot be read: {error.strerror}") from error
    # As the kernel does: all behind the program is one argument.
    return os.fsdecode(line[2:]).strip().split(None, 1) if line.startswith(b"#!") else []


def shebang_program(script: str) -> str:
    """Return `sh` for `#!/bin/sh -e`, `bash` for `#!/usr/bin/env bash`; empty when there is no such line.

    Raises:
        UsageError: the file cannot be read.
    """
    words = " ".join(shebang_words(script)).split()
    names = [os.path.basename(word) for word in words if not word.startswith("-")]
    return next((name for name in names if name != "env"), "")


def split_words(what: str, text: str) -> list[str]:
    """Return `text`, which the user gave as `what`, as a shell splits it.

    Raises:
        UsageError: it cannot be split.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{what} {text}: {str(error).lower()}: quote it as for a shell") from None


def answer_of(command: Sequence[str], env: Mapping[str, str], what_to_do: str) -> str:
    """Return what a command prints, whatever its exit code; it has ten seconds.

    Raises:
        FastlbError: it cannot be started, or does not end; the message ends with `what_to_do`.
    """
    try:
        output = _run(command, without_node_channel(env))
    except OSError as error:
        raise FastlbError(f"{command[0]} cannot be started: {error.strerror}: {what_to_do}") from error
    except subprocess.TimeoutExpired:
        said = f"`{' '.join(command)}` has not answered for {ANSWER_SECONDS:g} s"
        raise FastlbError(f"{said}: give another --interpreter") from None
    return output.decode(errors="replace").strip()


def _run(command: Sequence[str], env: Mapping[str, str]) -> bytes:
    """What a command prints. It is killed with its children: a version manager's shim has some."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
        start_new_session=True,
    ) as process:
        try:
            return process.communicate(timeout=ANSWER_SECONDS)[0]
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
