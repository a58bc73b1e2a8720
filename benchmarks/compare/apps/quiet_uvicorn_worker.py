"""Uvicorn's worker for gunicorn without an access log, by the way that its documentation gives: a subclass.

Without this each request makes a log record although gunicorn writes no access log by default.
"""

from uvicorn.workers import UvicornWorker


class QuietUvicornWorker(UvicornWorker):
    """A UvicornWorker that makes no line for a request."""

    CONFIG_KWARGS = {**UvicornWorker.CONFIG_KWARGS, "access_log": False}  # noqa: RUF012 - as its base declares it
