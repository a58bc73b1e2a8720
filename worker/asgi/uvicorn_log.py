"""Owns what an ASGI worker learns from uvicorn's log, because uvicorn tells it nowhere else. Runs in ASGI
workers.

Only looks at records; what is written where is worker_log's.
"""

import contextlib
import logging
from collections.abc import Iterator

from fastlb.lb.page import WorkerStatus

# The one method of uvicorn's protocols, HTTP and websocket, that logs when an app fails.
FAILING_METHOD = "run_asgi"


class AppErrorCounter(logging.Filter):
    """Counts on the status page the requests whose app failed; lets every record pass that `level` allows."""

    def __init__(self, status: WorkerStatus, level: int) -> None:
        super().__init__()
        self._status = status
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        """Count `record` when it is about a failed request."""
        if record.funcName == FAILING_METHOD and record.levelno >= logging.ERROR:
            self._status.record_error()
        return record.levelno >= self._level


class StartupErrors(logging.Handler):
    """Keeps what is logged as an error while the app starts: the traceback of a failed lifespan."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of `record`."""
        self._texts.append(self.format(record).strip())

    def text(self) -> str:
        """Return everything that was kept, without uvicorn's closing line."""
        return "\n".join(text for text in self._texts if not text.startswith("Application startup failed"))

    @contextlib.contextmanager
    def captured(self) -> Iterator[None]:
        """Listen to uvicorn's log while the context lasts."""
        logger = logging.getLogger("uvicorn.error")
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
