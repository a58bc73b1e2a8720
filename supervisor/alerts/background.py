"""Owns work that may take long or never end, beside the event loop. Runs in the supervisor process.

Each piece has a thread of its own, which the end of the process does not wait for: what hangs holds up nobody.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_background(name: str, work: Callable[[], T], take: Callable[[T], None]) -> None:
    """Do `work`, which must raise nothing, in a thread, and have the event loop call `take` with its result.

    When the loop has been closed meanwhile nobody is called.

    Raises:
        RuntimeError: no more threads are allowed, or there is no memory for one.
    """
    loop = asyncio.get_running_loop()

    def run() -> None:
        result = work()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(take, result)

    threading.Thread(target=run, name=f"alerts-{name}", daemon=True).start()


async def awaited(name: str, work: Callable[[], T]) -> T:
    """Do `work`, which must raise nothing, in a thread; return its result. It goes on when this is cancelled.

    Raises:
        RuntimeError: as `in_background`.
    """
    done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    in_background(name, work, lambda result: None if done.done() else done.set_result(result))
    return await done
