"""What an app says about loggers stands, and what it did not mean to say does not silence the worker."""

from pathlib import Path

import pytest

from tests.support.raw_http import RawClient, get
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, serving_worker

DICT_CONFIG = """
import logging.config

logging.config.dictConfig({"version": 1, "root": {"level": "WARNING"}})
"""
LEVELS = """
import logging

logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
"""
WSGI = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/fail":
        raise RuntimeError("asked to fail")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            started()
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/fail":
        raise RuntimeError("asked to fail")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})

def started():
    pass
"""
AT_START = "\ndef started():" + DICT_CONFIG.replace("\n", "\n    ")
APPS = {"wsgi": WSGI, "asgi": ASGI}


def ask(worker: WorkerProcess, path: str) -> int:
    """Return the status of a response, after the worker has closed the connection."""
    with RawClient(worker.connect()) as client:
        status = client.send(get(path, "Connection: close")).response().status
        assert client.is_closed()
    return status


@pytest.mark.parametrize(
    "source", [WSGI + DICT_CONFIG, ASGI + DICT_CONFIG, ASGI + AT_START], ids=["wsgi", "asgi", "asgi at its start"]
)
def test_access_lines_and_tracebacks_survive_the_default_of_dict_config(tmp_path: Path, source: str) -> None:
    with serving_worker(tmp_path, source, access_log=True) as worker:
        assert (ask(worker, "/fine"), ask(worker, "/fail")) == (200, 500)
        wait_until(lambda: "/fine" in worker.read_output(), "the access line is there")
        wait_until(lambda: "RuntimeError: asked to fail" in worker.read_output(), "the traceback is there")


@pytest.mark.parametrize("kind", APPS)
def test_level_of_the_access_log_that_an_app_set_stands(tmp_path: Path, kind: str) -> None:
    with serving_worker(tmp_path, APPS[kind] + LEVELS, access_log=True) as worker:
        assert (ask(worker, "/fine"), ask(worker, "/fail")) == (200, 500)
        wait_until(lambda: worker.counters()["errors"] == 1, "the error is counted")
        assert "HTTP/1.1" not in worker.read_output()


def test_level_of_the_error_log_that_an_app_set_stands_and_errors_are_counted(tmp_path: Path) -> None:
    with serving_worker(tmp_path, ASGI + LEVELS) as worker:
        assert ask(worker, "/fail") == 500
        wait_until(lambda: worker.counters()["errors"] == 1, "the error is counted")
        assert "asked to fail" not in worker.read_output()


@pytest.mark.parametrize("kind", APPS)
def test_without_a_word_of_the_app_the_setting_decides(tmp_path: Path, kind: str) -> None:
    with serving_worker(tmp_path, APPS[kind], log_level="critical") as worker:
        assert ask(worker, "/fail") == 500
        wait_until(lambda: worker.counters()["errors"] == 1, "the error is counted")
        assert "asked to fail" not in worker.read_output()
