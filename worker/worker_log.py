"""Owns where a worker's own log goes, and when what the app prints leaves the process: with each line.

Runs in workers, before the app is imported, so that the app can arrange it otherwise: its word on levels and handlers
stands. What an app does not mean is undone after its import and its start: logging.config.dictConfig silences, by its
default, every logger that it does not name. Messages go to standard error, the access log to standard output; the
supervisor reads both.
"""

import io
import logging
import sys

from .access_log.mark import ACCESS_HANDLER, ACCESS_MARK
from .wire import WorkerConfig

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


class LogConfigError(Exception):
    """The file of `--log-config` cannot be used; the message names the option, the file and the cause."""


def print_line_by_line() -> None:
    """Let standard output pass each line on at once; by default a pipe's is passed on when 8 KiB have gathered."""
    # With -u or PYTHONUNBUFFERED each write is passed on already, and stays so.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def configure_logging(config: WorkerConfig) -> None:
    """Let logging be as `log_config` says, or else by ourselves.

    Raises:
        LogConfigError: the file cannot be used.
    """
    logging.addLevelName(TRACE, "TRACE")
    if not config.log_config:
        _write_to_standard_streams(config.log_level)
        _mark_access_lines(config)
        return
    from .log_config import apply_log_config, write_whole_lines

    apply_log_config(config.log_config)
    enable_loggers()
    if config.access_log_format:
        write_whole_lines("uvicorn.access")
    _mark_access_lines(config)


def _write_to_standard_streams(log_level: str) -> None:
    """Send uvicorn's messages and ours to standard error, access lines to standard output."""
    messages = logging.StreamHandler(sys.stderr)
    messages.setFormatter(logging.Formatter("%(levelname)-8s %(message)s"))
    access = logging.StreamHandler(sys.stdout)
    access.name = ACCESS_HANDLER
    for name, handler in (("uvicorn", messages), ("fastlb.worker", messages), ("uvicorn.access", access)):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(LEVELS[log_level])
        logger.propagate = False
    # uvicorn compares the level of this one itself with that of its traces.
    logging.getLogger("uvicorn.error").setLevel(LEVELS[log_level])


def _mark_access_lines(config: WorkerConfig) -> None:
    """Let the supervisor know them on standard output, if they are for a file of their own."""
    if not config.access_file:
        return
    handler = logging.StreamHandler(sys.stdout)
    handler.name = ACCESS_HANDLER
    handler.setFormatter(logging.Formatter(f"{ACCESS_MARK}%(message)s"))
    logger = logging.getLogger("uvicorn.access")
    logger.handlers = [handler]
    logger.propagate = False


def enable_loggers() -> None:
    """Let the loggers of uvicorn and ours speak again that a configuration of the app's has disabled in passing."""
    for name in OURS:
        logging.getLogger(name).disabled = False
