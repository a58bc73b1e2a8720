"""Owns the asking by a command: a program that exits with 0 when the worker is well. Runs in the supervisor process."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress

from ..errors import FastlbError
from ..generations.generations import GenerationSettings
from ..processes.attributes import attributes_of, becoming
from ..processes.environment import worker_environment
from ..processes.programs import split_words
from ..processes.reaper import ExitStatus, Reaper, kill_group
from ..processes.spawn import SpawnPlan, spawn


async def ask_command(command: str, settings: GenerationSettings, worker_id: int, reaper: Reaper) -> str:
    """Run a command as the worker's user, in its environment; return "" if it exits with 0, else how it ended.

    It is killed, with its process group, when this is cancelled.
    """
    try:
        with open(os.devnull, "wb") as nothing:
            process = spawn(_plan(command, settings, worker_id, nothing.fileno()))
    except (FastlbError, OSError) as error:
        return f"{command}: {getattr(error, 'message', None) or error}"
    ended: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
    is_reaped = False

    def on_exit(status: ExitStatus) -> None:
        nonlocal is_reaped
        is_reaped = True
        os.close(process.pidfd)
        if not ended.done():
            ended.set_result(status)

    reaper.watch(process.pid, process.pidfd, on_exit)
    try:
        status = await ended
    finally:
        if not is_reaped:
            with suppress(OSError):
                kill_group(process.pid, process.pidfd)
    return "" if status.code == 0 else f"{command}: {status}"


def _plan(command: str, settings: GenerationSettings, worker_id: int, output_fd: int) -> SpawnPlan:
    config = settings.config
    env: Mapping[str, str] = {
        **worker_environment(config, worker_id, settings.environment),
        "FASTLB_WORKER_ID": str(worker_id),
    }
    argv = becoming(attributes_of(config, worker_id), split_words("--health-check", command), env)
    return SpawnPlan(argv, {}, env, config.cwd, output_fd, output_fd)
