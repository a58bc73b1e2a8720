"""Owns the choice of the way of an access log line: written by ourselves, or through Python's logging.

Runs in workers. Logging costs more than all the rest of a line; it is left out as long as the logger "uvicorn.access"
is as we have made it. An app that gives it handlers, filters, another level or formatter gets its lines by logging.
"""

import logging
from typing import Any

from fastlb.worker.access_log.access_log import AccessLog
from fastlb.worker.access_log.lines import AnsweredRequest, LineMaker

from ..wire import WorkerConfig
from .mark import ACCESS_HANDLER

LOGGER = "uvicorn.access"
# The arguments are those of uvicorn, whose formatters (in a `log_config`) count on them.
UVICORNS_LINE = '%s - "%s %s HTTP/%s" %d'


class Route:
    """The way of lines.

    Args:
        has_own_format: whether lines are as a format of ours says, and not as uvicorn's.
    """

    def __init__(self, *, has_own_format: bool) -> None:
        self._logger = logging.getLogger(LOGGER)
        self._has_own_format = has_own_format
        self._formatter = next((handler.formatter for handler in self._logger.handlers), None)

    def is_direct(self) -> bool:
        """Say whether logging would write a line as it is to standard output, and do nothing else."""
        logger = self._logger
        handlers = logger.handlers
        if len(handlers) != 1 or logger.propagate or logger.filters:
            return False
        handler = handlers[0]
        is_ours = handler.name == ACCESS_HANDLER and handler.formatter is self._formatter
        return is_ours and not handler.filters and not handler.level and logger.isEnabledFor(logging.INFO)

    def log(self, request: AnsweredRequest, maker: LineMaker) -> None:
        """Log a line."""
        if self._has_own_format:
            if self._logger.isEnabledFor(logging.INFO):
                self._logger.info("%s", maker.line(request))
            return
        client = f"{text(request.client)}:{request.client_port}" if request.client else ""
        version = text(request.protocol).removeprefix("HTTP/")
        self.pass_on(UVICORNS_LINE, client, text(request.method), text(request.target), version, request.status)

    def pass_on(self, message: str, *arguments: Any) -> None:
        """Log what uvicorn logs."""
        self._logger.info(message, *arguments)


def text(value: str | bytes) -> str:
    """Return a text of a request as str."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def make_access_log(config: WorkerConfig) -> AccessLog | None:
    """Return the access log of this process; None: there is none."""
    if not config.access_log:
        return None
    route = Route(has_own_format=bool(config.access_log_format))
    log = AccessLog(config.access_log_format, route, bool(config.access_file))
    log.keep_to_process()
    return log
