"""How the ends of Node apps come about: whatever an app ends with runs once, at its end, and cuts nobody off.

The usual handler of a signal closes the server, waits for what is under way, and saves. Each of these apps is reloaded
and stopped while a client keeps a connection open and another one waits for its answer.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.client import Connection
from tests.support.fastlb_process import App, Fastlb
from tests.support.node_driver import WORKERS, copy_apps, start_node
from tests.support.node_packages import APPS, NODE_VERSIONS, NotInstallableError, node_modules
from tests.support.waiting import scaled, wait_until

EXITS, DIES = "exited with code 0", "killed by SIGTERM"
# A worker that is not idle within three quarters of it is told with its connections open: not in these tests.
OPTIONS = ("--kill-timeout", "600", "--reload-settle", "0.1")
LIBRARIES = {
    "nest.js": DIES,
    "fastify.js": EXITS,
    "hapi.js": EXITS,
    "terminus.js": DIES,
    "graceful_shutdown.js": EXITS,
    "terminator.js": EXITS,
}
HELD = pytest.mark.parametrize("held", [(), ("--env", "HOLDS=1")], ids=["nothing-else", "timer"])


@pytest.fixture(scope="module")
def library_apps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the apps and the packages that they import."""
    wanted = json.loads((APPS / "ends" / "package.json").read_text())["dependencies"]
    try:
        modules = node_modules(tuple(sorted(wanted.items())))
    except NotInstallableError as error:
        pytest.skip(f"the libraries cannot be installed: {error}")
    return copy_apps(tmp_path_factory.mktemp("libraries"), modules) / "ends"


def words(app: App, word: str) -> Counter[int]:
    """How often each pid has said it on its standard output."""
    lines = (line.split() for line in app.log("out").splitlines())
    return Counter(int(line[-1]) for line in lines if len(line) > 1 and line[-2] == word)


@contextmanager
def slow_request(app: App) -> Iterator[None]:
    """A request that is being processed at the begin of the block and is answered after it."""
    begun = words(app, "begun").total()
    with Connection(app.address, timeout=15) as client:
        client.send("/?ms=1000")
        wait_until(lambda: words(app, "begun").total() > begun, "it is being processed")
        yield
        assert client.receive().status == 200


def assert_each_ends_once(app: App, how: str) -> None:
    """Reload and stop an app under the eyes of clients."""
    old = set(app.worker_pids)
    with Connection(app.address) as kept:
        kept.send()
        assert kept.receive().status == 200
        with slow_request(app):
            app.ok("reload")
        wait_until(lambda: set(words(app, "saved")) == old, "all old workers have saved", timeout=10)
    new = set(app.worker_pids)
    with Connection(app.address) as kept:
        kept.send()
        assert kept.receive().status == 200
        with slow_request(app):
            stopping = app.fastlb.popen("stop", app.name)
        _, errors = stopping.communicate(timeout=scaled(20))
    assert stopping.returncode == 0, errors
    assert words(app, "saved") == Counter(old | new), "each once"
    log = app.log("supervisor")
    assert log.count(f'reason="{how}"') == 2 * WORKERS, log
    assert "worker_cut_off" not in log
    assert "Error" not in app.log("error")


@HELD
@pytest.mark.parametrize(("script", "how"), LIBRARIES.items(), ids=LIBRARIES)
def test_library(fastlb: Fastlb, library_apps: Path, script: str, how: str, held: tuple[str, ...]) -> None:
    assert_each_ends_once(start_node(fastlb, library_apps / script, *OPTIONS, *held), how)


@HELD
@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("script", ["plain.js", "module.mjs"])
def test_server_that_is_closed_on_a_signal(fastlb: Fastlb, script: str, signal: str, held: tuple[str, ...]) -> None:
    app = start_node(fastlb, f"ends/{script}", "--kill-signal", signal, *OPTIONS, *held)
    assert_each_ends_once(app, EXITS)


@pytest.mark.parametrize("node_major", NODE_VERSIONS, indirect=True, ids=[f"node-{major}" for major in NODE_VERSIONS])
@HELD
def test_version(fastlb: Fastlb, node_major: Path, held: tuple[str, ...]) -> None:
    assert_each_ends_once(start_node(fastlb, "ends/plain.js", "--interpreter", str(node_major), *OPTIONS, *held), EXITS)
