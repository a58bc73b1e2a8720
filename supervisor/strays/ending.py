"""Owns how processes that carry a token of ours are ended. Supervisor, and shell for what a dead supervisor left.

A process is ended only if it carries a token of ours; one that
anybody else has started carries none. Whoever is to outlive its worker is started without the variable.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterable

from ..processes.tree import HeldProcess
from .search import all_pids, find_carriers
from .token import RunTokens

# One that is killed cannot start another; one that is found may have started some just before.
MOST_ROUNDS = 20
# Of a process that was killed: it is gone at once unless a device keeps it.
KILL_SECONDS = 2.0


async def end_left_over(tokens: RunTokens, signal_name: str | None, patience: float) -> list[int]:
    """End what carries a token of the app from another run; return the pids.

    Args:
        tokens: of this run, or of none.
        signal_name: asks them to end; None: they know already that they are to end.
        patience: seconds from then to SIGKILL.
    """
    return await end_carriers(all_pids, tokens.is_left_over, signal_name, patience)


async def end_carriers(
    candidates: Callable[[], Iterable[int]],
    is_wanted: Callable[[str], bool],
    signal_name: str | None = None,
    patience: float = 0.0,
) -> list[int]:
    """Ask those of the candidates that carry a wanted token to end, and kill them after `patience`.

    Return the pids of all that were found, gone or not.
    """
    ended: set[int] = set()
    for _ in range(MOST_ROUNDS):
        with contextlib.ExitStack() as stack:
            found = find_carriers(candidates(), is_wanted)
            for process in found:
                stack.callback(process.close)
            if not found:
                break
            ended.update(process.pid for process in found)
            if await _end(found, signal_name, patience):
                break  # a device keeps it: nobody can end it
        patience = 0.0
    return sorted(ended)


async def _end(found: list[HeldProcess], signal_name: str | None, patience: float) -> list[HeldProcess]:
    """Return those that cannot be killed."""
    if signal_name and patience:
        for process in found:
            process.send(signal.Signals[signal_name])
    left = await _still_running(found, patience) if patience else found
    for process in left:
        process.send(signal.SIGKILL)
    return await _still_running(left, KILL_SECONDS)


async def _still_running(held: list[HeldProcess], seconds: float) -> list[HeldProcess]:
    """Wait until all have exited, at most for so long; return those that have not."""
    loop = asyncio.get_running_loop()
    exits: dict[asyncio.Future[None], HeldProcess] = {loop.create_future(): process for process in held}
    for exited, process in exits.items():
        loop.add_reader(process.pidfd, _note_exit, loop, process.pidfd, exited)
    try:
        if exits:
            await asyncio.wait(exits, timeout=seconds)
    finally:
        for process in held:
            loop.remove_reader(process.pidfd)
    return [process for exited, process in exits.items() if not exited.done()]


def _note_exit(loop: asyncio.AbstractEventLoop, pidfd: int, exited: "asyncio.Future[None]") -> None:
    loop.remove_reader(pidfd)
    if not exited.done():
        exited.set_result(None)
