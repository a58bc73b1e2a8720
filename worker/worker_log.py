"""Owns where a worker's own log goes, and when what the app prints leaves the process: with each line.

Runs in workers, before the app is imported, so that the app can arrange it otherwise: its word on levels and handlers
stands. What an app does not mean is undone after its import and its start: logging.config.dictConfig silences, by its
default, every logger that it does not name. Messages go to standard error, the access log to standard output; the
supervisor reads both.
"""

import io
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


OURS = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "fastlb.worker")


def print_line_by_line() -> None:
    """Let standard output pass each line on at once; by default a pipe's is passed on when 8 KiB have gathered."""
    # With -u or PYTHONUNBUFFERED each write is passed on already, and stays so.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


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
    # uvicorn compares the level of this one itself with that of its traces.
    logging.getLogger("uvicorn.error").setLevel(LEVELS[log_level])


def enable_loggers() -> None:
    """Let the loggers of uvicorn and ours speak again that a configuration of the app's has disabled in passing."""
    for name in OURS:
        logging.getLogger(name).disabled = False
