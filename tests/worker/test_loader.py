"""Targets, and what a user is told when one is wrong. The interpreter is a worker's own."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from fastlb.worker.app_interface import UndecidableInterface, find_interface
from fastlb.worker.wire import EXIT_STARTUP_FAILED, WIRE_VERSION, Serving, StartupFailed

from tests.support.http_exchange import exchange
from tests.support.worker_process import serving_worker, started_worker

FACTORY = """
def make():
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"made"})
    return app

class holder:
    app = staticmethod(make())

async def make_later():
    return make()
"""


def needs(library: str) -> None:
    """Skip the test without the library. It is not imported here: eventlet warns in every process that forks later."""
    if find_spec(library) is None:
        pytest.skip(f"needs {library}")


def failure(directory: Path, source: str, **settings: Any) -> StartupFailed:
    """Return what a worker reports that cannot start; checks that it says so once and exits as promised."""
    with started_worker(directory, source, **settings) as worker:
        report = worker.report()
        assert isinstance(report, StartupFailed), report
        assert worker.wait_exit() == EXIT_STARTUP_FAILED
        said = report.traceback or report.reason
        assert worker.read_output().count(said.strip().splitlines()[-1]) == 1
        return report


@pytest.mark.parametrize("version", [0, WIRE_VERSION + 1])
def test_worker_of_another_release_than_its_supervisor_says_what_to_do(tmp_path: Path, version: int) -> None:
    reason = failure(tmp_path, "app = 1", wire_version=version).reason
    assert "fastlb was updated since this app was started" in reason
    assert "`fastlb stop`, `fastlb start`" in reason


@pytest.mark.parametrize(
    ("target", "factory"),
    [("app:make()", False), ("app:make", True), ("app:holder.app", False)],
)
def test_target_may_be_a_factory_or_dotted(tmp_path: Path, target: str, factory: bool) -> None:
    with (
        serving_worker(tmp_path, FACTORY, target=target, factory=factory) as worker,
        worker.connect() as client,
    ):
        assert exchange(client).body == b"made"


def test_app_sees_its_arguments_its_directory_and_the_loop(tmp_path: Path) -> None:
    source = "import asyncio, sys\nprint(sys.argv, sys.path[0])\nasyncio.get_running_loop()\n" + FACTORY
    with serving_worker(tmp_path, source, target="app:make()", args=("--x", "1")) as worker:
        worker.drain()
        worker.wait_exit()
        assert f"['app:make()', '--x', '1'] {tmp_path}" in worker.read_output()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("ap:app", ['no module named "ap"', 'did you mean "app"?']),
        ("starlete:app", ['no module named "starlete"', "among the installed packages"]),
        ("starlette.aplications:X", ['"starlette.aplications"', 'did you mean "starlette.applications"?']),
        ("app.sub:app", ['"app" is a module, not a package']),
        ("app:mkae", ['has no attribute "mkae"', 'did you mean "make"?', "app.py"]),
        ("app:holder.ap", ['"app.holder"', 'did you mean "app"?']),
        ("app.py:make", ["module:attribute", "app:make"]),
        ("app", ["module:attribute", "app:app"]),
        ("app:make", ["looks like a factory", "--factory"]),
        ("app:make_later()", ["coroutine function"]),
        ("app:__file__", ["str object is neither"]),
    ],
)
def test_wrong_target_is_explained_in_one_sentence(tmp_path: Path, target: str, words: list[str]) -> None:
    report = failure(tmp_path, FACTORY, target=target)
    assert [word for word in words if word not in report.reason] == []
    assert (report.usage, report.traceback, report.reason.count("\n")) == (True, "", 0)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def broken(:\n", ["app.py", "SyntaxError"]),
        ("1 / 0\n", ["app.py", "ZeroDivisionError: division by zero"]),
        ("import no_such_thing\n", ["app.py", "ModuleNotFoundError: No module named 'no_such_thing'"]),
        ("import sys\nsys.exit('bye')\n", ["app.py", "SystemExit: bye"]),
        ("def app():\n    return {}['key']\n", ["app.py", "KeyError: 'key'"]),
    ],
)
def test_failing_app_shows_its_own_traceback(tmp_path: Path, source: str, words: list[str]) -> None:
    report = failure(tmp_path, source, factory=True)
    assert [word for word in words if word not in report.traceback] == []
    assert "importlib" not in report.traceback
    assert "app_loader" not in report.traceback
    assert not report.usage


@pytest.mark.parametrize("lifespan", ["auto", "on"])
def test_failing_lifespan_is_a_failed_start(tmp_path: Path, lifespan: str) -> None:
    source = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette

@asynccontextmanager
async def lifespan(app):
    raise LookupError("no database")
    yield

app = Starlette(lifespan=lifespan)
"""
    report = failure(tmp_path, source, lifespan=lifespan)
    assert "LookupError: no database" in report.traceback
    assert "lifespan" in report.reason


def test_exception_in_a_required_lifespan_is_a_failed_start(tmp_path: Path) -> None:
    report = failure(tmp_path, "async def app(scope, receive, send):\n    raise LookupError('x')\n", lifespan="on")
    assert "LookupError: x" in report.traceback


def test_app_says_itself_that_it_is_ready(tmp_path: Path) -> None:
    source = "from fastlb.worker import ready\nready()\n" + FACTORY
    with started_worker(tmp_path, source, target="app:make()") as worker:
        assert worker.next_line() == b'"ready"\n'
        assert isinstance(worker.report(), Serving)


WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]
"""
NO_LOOP_RUNS = """
import asyncio
asyncio.run(asyncio.sleep(0))
print("import", os.getpid(), flush=True)
"""
LOOP_RUNS = """
loop = asyncio.get_running_loop()
print("import", os.getpid(), os.environ.get("LEFT_BY_THE_FIRST_TRY"), flush=True)
"""
TRIED = """
import asyncio
import os
if "LEFT_BY_THE_FIRST_TRY" in os.environ:
    raise ValueError("not a fresh process")
os.environ["LEFT_BY_THE_FIRST_TRY"] = "yes"
os.chdir("/")
"""


@pytest.mark.parametrize("interface", ["auto", "wsgi"])
def test_wsgi_app_is_imported_without_a_running_loop(tmp_path: Path, interface: str) -> None:
    source = "import os" + NO_LOOP_RUNS + WSGI
    with serving_worker(tmp_path, source, interface=interface) as worker, worker.connect() as client:
        assert exchange(client).body == b"served"
        assert worker.read_output().count("import") == 1


def test_django_project_that_asks_its_database_at_start_is_served(tmp_path: Path) -> None:
    needs("django")
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "apps.py").write_text(DJANGO_APPS)
    with serving_worker(tmp_path, DJANGO_PROJECT) as worker, worker.connect() as client:
        assert exchange(client).status == 404


DJANGO_APPS = """
from django.apps import AppConfig
from django.db import connection

class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        with connection.cursor() as cursor:
            cursor.execute("select 1")
"""
DJANGO_PROJECT = """
import sys
from django.conf import settings
from django.core.wsgi import get_wsgi_application

urlpatterns = []
settings.configure(
    ROOT_URLCONF=sys.modules[__name__],
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["shop.apps.ShopConfig"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
app = get_wsgi_application()
"""


@pytest.mark.parametrize(("source", "target"), [(FACTORY, "app:make()"), (WSGI, "app:app")], ids=["asgi", "wsgi"])
def test_import_that_needs_a_running_loop_is_repeated_in_one_in_a_fresh_process(
    tmp_path: Path, source: str, target: str
) -> None:
    with serving_worker(tmp_path, TRIED + LOOP_RUNS + source, target=target) as worker:
        with worker.connect() as client:
            assert exchange(client).status == 200
        assert f"import {worker.process.pid} yes" in worker.read_output()


def test_asgi_app_that_asks_for_the_current_loop_gets_the_one_that_serves_it(tmp_path: Path) -> None:
    source = """
import asyncio
loop = asyncio.get_event_loop()

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    body = b"the same" if loop is asyncio.get_running_loop() else b"another"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
    with serving_worker(tmp_path, source) as worker, worker.connect() as client:
        assert exchange(client).body == b"the same"


@pytest.mark.parametrize(
    ("library", "patch"),
    [
        ("gevent", "from gevent import monkey\nmonkey.patch_all()"),
        ("eventlet", "import eventlet\neventlet.monkey_patch()"),
    ],
)
def test_wsgi_app_without_real_threads_is_refused_with_a_sentence(tmp_path: Path, library: str, patch: str) -> None:
    needs(library)
    report = failure(tmp_path, f"{patch}\n{WSGI}")
    assert "monkey-patched" in report.reason
    assert "--threads" in report.reason
    assert report.usage


def test_asgi_app_that_is_monkey_patched_is_served(tmp_path: Path) -> None:
    needs("gevent")
    source = f"from gevent import monkey\nmonkey.patch_all()\n{FACTORY}"
    with serving_worker(tmp_path, source, target="app:make()") as worker, worker.connect() as client:
        assert exchange(client).body == b"made"


def test_import_that_fails_in_the_loop_as_well_is_told_once(tmp_path: Path) -> None:
    source = "import asyncio\nasyncio.get_running_loop()\nraise LookupError('and then this')\n"
    assert "LookupError: and then this" in failure(tmp_path, source).traceback


async def asgi(scope: object, receive: object, send: object) -> None:
    """An ASGI app."""


def double(scope: object, receive: object, send: object) -> object:
    """A function that returns what an ASGI app would."""


def wsgi(environ: object, start_response: object) -> object:
    """A WSGI app."""


def anything(*arguments: object) -> object:
    """A wrapper that could be either."""


class Asgi2:
    """An ASGI 2 app."""

    def __init__(self, scope: object) -> None: ...

    async def __call__(self, receive: object, send: object) -> None: ...


class AsgiObject:
    """An app whose instances are called."""

    async def __call__(self, scope: object, receive: object, send: object) -> None: ...


@pytest.mark.parametrize(
    ("app", "interface"), [(asgi, "asgi"), (double, "asgi"), (AsgiObject(), "asgi"), (wsgi, "wsgi")]
)
def test_interface_is_found_by_looking(app: object, interface: str) -> None:
    assert find_interface(app) == interface


def create_app(config: object = None, debug: bool = False) -> object:
    """A factory with settings, which a call with two arguments would not refuse."""


async def create_app_later() -> object:
    """A factory that is awaited."""


async def handler(request: object) -> object:
    """The handler of some framework."""


UNSEEN = [
    (Asgi2, "ASGI 2"),
    (anything, "--interface"),
    (3, "int object"),
    (create_app, "looks like a factory: say --factory"),
    (create_app_later, "looks like a factory; a factory must be a plain function"),
    (handler, "takes one argument"),
]


@pytest.mark.parametrize(("app", "words"), UNSEEN)
def test_interface_that_cannot_be_seen_is_explained(app: object, words: str) -> None:
    with pytest.raises(UndecidableInterface, match=words):
        find_interface(app)


def test_interface_can_be_given() -> None:
    assert find_interface(anything, "wsgi") == "wsgi"
    assert find_interface(anything, "asgi") == "asgi"


def test_interfaces_of_frameworks() -> None:
    flask = pytest.importorskip("flask")
    fastapi = pytest.importorskip("fastapi")
    wsgi_handler = pytest.importorskip("django.core.handlers.wsgi").WSGIHandler
    asgi_handler = pytest.importorskip("django.core.handlers.asgi").ASGIHandler
    assert find_interface(flask.Flask("x")) == "wsgi"
    assert find_interface(fastapi.FastAPI()) == "asgi"
    assert find_interface(wsgi_handler.__new__(wsgi_handler)) == "wsgi"
    assert find_interface(asgi_handler.__new__(asgi_handler)) == "asgi"


def test_function_that_werkzeug_wraps_is_a_wsgi_app() -> None:
    wrappers = pytest.importorskip("werkzeug.wrappers")

    def answer(request: object) -> object:
        """Show the arguments of the function inside, as functools.wraps does."""

    assert find_interface(wrappers.Request.application(answer)) == "wsgi"


@pytest.mark.parametrize("framework", ["aiohttp", "tornado"])
def test_app_with_a_server_of_its_own_is_told_so(framework: str) -> None:
    app = type("Application", (), {"__module__": f"{framework}.web", "__call__": lambda _: None})()
    with pytest.raises(UndecidableInterface, match=f"an app of {framework} is neither ASGI nor WSGI"):
        find_interface(app)
