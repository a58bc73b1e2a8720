"""Owns waiting for a condition with a deadline: the only way in which a test may wait for another process.

Runs in the test process. Never waits for a fixed time; FASTLB_TEST_TIMEOUT_SCALE stretches every deadline.
"""

import asyncio
import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.05


def scaled(timeout: float) -> float:
    """Return `timeout` (seconds) stretched for slow machines by FASTLB_TEST_TIMEOUT_SCALE."""
    return timeout * float(os.environ.get("FASTLB_TEST_TIMEOUT_SCALE", "1"))


def wait_until(condition: Callable[[], T], what: str, timeout: float = 5.0) -> T:
    """Return the first true value of `condition()`; ask again with growing pauses.

    Args:
        condition: cheap question without effects.
        what: the state that is waited for, as a phrase: "worker 2 is online".
        timeout: seconds, before scaling.

    Raises:
        AssertionError: the deadline passed; the message says what was waited for and the last value.
    """
    deadline = time.monotonic() + scaled(timeout)
    pause = FIRST_PAUSE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {scaled(timeout):g} s: {what} (last value: {value!r})")
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
    return value


async def let_run_until(condition: Callable[[], T], what: str, timeout: float = 5.0) -> T:
    """`wait_until` for a condition that this very event loop brings about."""
    deadline = time.monotonic() + scaled(timeout)
    pause = FIRST_PAUSE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {scaled(timeout):g} s: {what} (last value: {value!r})")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
    return value
