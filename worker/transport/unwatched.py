"""Owns the word about connections that are closed because the kernel does not watch them. Runs in workers."""

import logging
import os
from functools import cache

logger = logging.getLogger("fastlb.worker")


@cache
def tell_of_unwatched(error: int) -> None:
    """Log that connections are closed, once for each errno: no more than that depends on how many clients there are."""
    logger.error(
        "connections that wait for their clients are closed, as the kernel watches no more of them: %s "
        "(sysctl fs.epoll.max_user_watches)",
        os.strerror(error),
    )
