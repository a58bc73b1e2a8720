"""Owns the access log line of a WSGI request, in the form that uvicorn's users know.

Runs in the event loop's thread of a worker process. The logger's handler writes to standard output. Only called
when the setting `access_log` is on.
"""

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .exchange import Exchange

logger = logging.getLogger("uvicorn.access")


def log_access(exchange: "Exchange") -> None:
    """Log an answered request: client, request line, status. The parser lets no control character through."""
    environ = exchange.environ
    logger.info(
        '%s:%s - "%s %s %s" %d',
        environ.get("REMOTE_ADDR"),
        environ.get("REMOTE_PORT", ""),
        environ.get("REQUEST_METHOD"),
        environ.get("RAW_URI"),
        environ.get("SERVER_PROTOCOL"),
        exchange.code,
    )
