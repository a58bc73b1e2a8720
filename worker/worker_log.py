"""Owns where a worker's own log goes: messages to standard error, the access log to standard output.

Runs in workers, before the app is imported, so that an app can arrange it otherwise. The supervisor reads
both.
"""

import logging
import sys

TRACE = 5
LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}


def configure_logging(log_level: str) -> None:
    """Send uvicorn's messages and ours to standard error, access lines to standard output."""
    logging.addLevelName(TRACE, "TRACE")
    messages = logging.StreamHandler(sys.stderr)
    messages.setFormatter(logging.Formatter("%(levelname)-8s %(message)s"))
    access = logging.StreamHandler(sys.stdout)
    for name, handler in (("uvicorn", messages), ("fastlb.worker", messages), ("uvicorn.access", access)):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(LEVELS[log_level])
        logger.propagate = False
