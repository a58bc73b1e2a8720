"""Owns telling by a command, which finds the object on its standard input. Runs in the supervisor process.

It is a process of the supervisor's user, in the app's directory; what it writes goes nowhere.
"""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress

from ...errors import FastlbError
from ...processes.programs import split_words
from ...processes.reaper import ExitStatus, Reaper, kill_group
from ...processes.spawn import STDIN, SpawnedProcess, SpawnPlan, spawn
from ..message import Message, as_json

SECONDS = 60.0


async def run(command: str, cwd: str, env: Mapping[str, str], message: Message, *, seconds: float = SECONDS) -> str:
    """Run a command with a message; return "" when it has exited with 0, else why not.

    It is killed, with its process group, after so many seconds, and when this is cancelled.
    """
    try:
        with open(os.memfd_create("fastlb-alert", os.MFD_CLOEXEC), "w+b", buffering=0) as stdin:
            stdin.write(as_json(message))
            stdin.seek(0)
            process = _start(command, cwd, env, stdin.fileno())
    except FastlbError as error:
        return error.message
    except (OSError, ValueError) as error:  # no descriptor, no memory; what no process can be given
        return getattr(error, "strerror", None) or str(error)
    return await _outcome(process.pid, process.pidfd, seconds)


def _start(command: str, cwd: str, env: Mapping[str, str], stdin_fd: int) -> SpawnedProcess:
    with open(os.devnull, "wb") as nothing:
        argv = split_words("--alert-command", command)
        return spawn(SpawnPlan(argv, {STDIN: stdin_fd}, env, cwd, nothing.fileno(), nothing.fileno()))


async def _outcome(pid: int, pidfd: int, seconds: float) -> str:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[ExitStatus] = loop.create_future()
    is_reaped = False

    def on_exit(status: ExitStatus) -> None:
        nonlocal is_reaped
        is_reaped = True
        os.close(pidfd)
        if not ended.done():
            ended.set_result(status)

    Reaper(loop).watch(pid, pidfd, on_exit)
    try:
        done, _ = await asyncio.wait({ended}, timeout=seconds)
    finally:
        if not is_reaped:
            with suppress(OSError):
                kill_group(pid, pidfd)
    if not done:
        await asyncio.wait({ended}, timeout=SECONDS)
        return f"it has not ended within {seconds:g} s"
    status = ended.result()
    return "" if status.code == 0 else f"it has {status}" if status.signal is None else f"it was {status}"
