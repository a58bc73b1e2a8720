"""`--log-config`: Python's logging as a file says, for the worker's own words and the access log."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastlb.worker.wire import StartupFailed

from tests.support.raw_http import RawClient, get
from tests.support.waiting import wait_until
from tests.support.worker_process import serving_worker, started_worker

WSGI = """
import logging

def app(environ, start_response):
    logging.getLogger("app").warning("the app says something")
    start_response("200 OK", [])
    return [b"hello"]
"""
ASGI = """
import logging

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    logging.getLogger("app").warning("the app says something")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""
KINDS = {"wsgi": WSGI, "asgi": ASGI}
JSON_LINES = '{"level": "%(levelname)s", "name": "%(name)s", "text": "%(message)s"}'
CONFIG: dict[str, Any] = {
    "version": 1,
    "formatters": {"json": {"format": JSON_LINES.replace('"%(message)s"', '0')}},
    "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
    "root": {"handlers": ["out"], "level": "INFO"},
}
# As people write it for uvicorn.
UVICORNS: dict[str, Any] = {
    "version": 1,
    "formatters": {
        "access": {
            "()": "uvicorn.logging.AccessFormatter",
            "fmt": "ACCESS %(client_addr)s %(request_line)s %(status_code)s",
            "use_colors": False,
        }
    },
    "handlers": {"access": {"class": "logging.StreamHandler", "formatter": "access", "stream": "ext://sys.stdout"}},
    "loggers": {"uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False}},
}
INI = """
[loggers]
keys = root
[handlers]
keys = out
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = out
[handler_out]
class = StreamHandler
formatter = plain
args = (sys.stdout,)
[formatter_plain]
format = INI %(levelname)s %(name)s
"""


def output(directory: Path, kind: str, config: Path, expected: str, **settings: Any) -> str:
    """Return what a worker writes on one request, when `expected` is in it."""
    with serving_worker(directory, KINDS[kind], log_config=str(config), access_log=True, **settings) as worker:
        with RawClient(worker.connect()) as client:
            client.send(get("/", "Connection: close")).response()
        wait_until(lambda: expected in worker.read_output(), f"{expected!r} is written")
        return worker.read_output()


def written(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_json_file_is_a_dict_config(tmp_path: Path, kind: str) -> None:
    config = written(tmp_path, "logging.json", json.dumps(CONFIG))
    shown = output(tmp_path, kind, config, '"name": "uvicorn.access"')
    lines = [json.loads(line) for line in shown.splitlines()]
    assert {"level": "WARNING", "name": "app", "text": 0} in lines
    assert {"level": "INFO", "name": "uvicorn.access", "text": 0} in lines


@pytest.mark.parametrize("kind", KINDS)
def test_any_other_file_is_an_ini(tmp_path: Path, kind: str) -> None:
    shown = output(tmp_path, kind, written(tmp_path, "logging.conf", INI), "INI INFO uvicorn.access")
    assert "INI WARNING app" in shown


@pytest.mark.parametrize("kind", KINDS)
def test_access_formatter_of_uvicorn_works_for_both_kinds(tmp_path: Path, kind: str) -> None:
    shown = output(tmp_path, kind, written(tmp_path, "logging.json", json.dumps(UVICORNS)), "ACCESS")
    assert "ACCESS 127.0.0.1:" in shown
    assert " GET / HTTP/1.1 200" in shown
    assert "Logging error" not in shown


@pytest.mark.parametrize("kind", KINDS)
def test_format_of_ours_passes_through_handlers_of_uvicorns(tmp_path: Path, kind: str) -> None:
    config = written(tmp_path, "logging.json", json.dumps(UVICORNS))
    shown = output(tmp_path, kind, config, "MINE 200", access_log_format="MINE %(s)s")
    assert "ACCESS" not in shown
    assert "Logging error" not in shown


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("logging.json", "{", "Expecting property name"),
        ("logging.json", "[]", "a mapping is expected"),
        ("logging.json", '{"version": 1, "handlers": {"a": {"class": "no.such.Handler"}}}', "Unable to configure"),
        ("logging.conf", "level = INFO", "File contains no section headers"),
        ("logging.conf", "[a]\nb = c", "no [formatters] as logging.config.fileConfig"),
        ("logging.json", None, "No such file or directory"),
    ],
)
def test_file_that_cannot_be_used_is_named_with_its_cause(
    tmp_path: Path, name: str, text: str | None, reason: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with started_worker(tmp_path, WSGI, log_config=str(path)) as worker:
        report = worker.report()
    assert isinstance(report, StartupFailed)
    assert report.usage
    assert report.reason.startswith(f"--log-config {path}: ")
    assert reason in report.reason
    assert "\n" not in report.reason


def test_yaml_needs_what_reads_it(tmp_path: Path) -> None:
    config = written(tmp_path, "logging.yaml", json.dumps(CONFIG))  # JSON is YAML
    try:
        import yaml  # noqa: F401 - whether it is there
    except ImportError:
        with started_worker(tmp_path, WSGI, log_config=str(config)) as worker:
            report = worker.report()
        assert isinstance(report, StartupFailed)
        assert "YAML needs PyYAML beside fastlb (`pip install pyyaml`)" in report.reason
    else:
        assert '"name": "app"' in output(tmp_path, "wsgi", config, '"name": "uvicorn.access"')
