"""How the ends of Node apps come about: whatever an app ends with runs once, at its end, and cuts nobody off.

The usual handler of a signal closes the server, waits for what is under way, and saves. Each of these apps is reloaded
and stopped while a client keeps a connection open and another one waits for its answer.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.client import Connection
from tests.support.fastlb_process import App, Fastlb
from tests.support.http_exchange import exchange
from tests.support.node_clients import tls_variables
from tests.support.node_driver import WORKERS, copy_apps, start_node, variables
from tests.support.node_packages import APPS, NODE_VERSIONS, NotInstallableError, node_modules
from tests.support.tls import client_context
from tests.support.waiting import scaled, wait_until

EXITS, DIES = "exited with code 0", "killed by SIGTERM"
# A worker that is not idle within three quarters of it is told with its connections open: not in these tests.
OPTIONS = ("--kill-timeout", "600", "--settle", "0.1")
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


@contextmanager
def held_request(app: App, gate: Path) -> Iterator[None]:
    """A request that is being processed for as long as the block lasts."""
    begun = words(app, "begun").total()
    with Connection(app.address, timeout=15) as client:
        client.send(f"/?until={gate}")
        wait_until(lambda: words(app, "begun").total() > begun, "it is being processed")
        yield
        gate.touch()
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


@HELD
def test_clients_that_never_go_are_told_by_the_app_before_kill_timeout(fastlb: Fastlb, held: tuple[str, ...]) -> None:
    app = start_node(fastlb, "ends/endless.js", "--kill-timeout", "4", *held)
    with Connection(app.address, timeout=15) as first, Connection(app.address, timeout=15) as second:
        for client in (first, second):
            assert client.sock.recv(5) == b"hello"
        stopping = fastlb.popen("stop", "app")
        for client in (first, second):
            assert [client.sock.recv(100), client.sock.recv(100)] == [b"goodbye", b""]
            client.close()
        _, errors = stopping.communicate(timeout=scaled(20))
    assert stopping.returncode == 0, errors
    assert words(app, "saved").total() == WORKERS
    log = app.log("supervisor")
    assert log.count(f'reason="{EXITS}"') == WORKERS, log


@pytest.mark.parametrize("wanted", [True, False])
def test_message_takes_the_place_of_the_signal(fastlb: Fastlb, wanted: bool) -> None:
    options = ("--shutdown-with-message",) if wanted else ()
    assert_each_ends_once(start_node(fastlb, "ends/message.js", *OPTIONS, *options), EXITS)


def test_channel_is_open_until_the_app_has_ended(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "ends/sends.js", *OPTIONS)
    assert_each_ends_once(app, EXITS)
    assert app.log("supervisor").count("process_msg") == 2 * WORKERS


def test_app_that_wants_to_know_is_told_that_it_drains_before_its_requests_are_over(
    fastlb: Fastlb, tmp_path: Path
) -> None:
    app = start_node(fastlb, "ends/sends.js", *OPTIONS, workers=1)
    with held_request(app, tmp_path / "gate"):
        app.ok("reload")
        wait_until(lambda: words(app, "draining").total() == 1, "it is told")
        assert words(app, "saved").total() == 0


def test_without_what_is_loaded_nodes_own_disconnect_comes_first(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "ends/plain.js", "--no-node-preload", *OPTIONS)
    with slow_request(app):
        app.ok("reload")
    app.ok("stop")
    assert words(app, "saved").total() == 0
    assert app.log("supervisor").count(f'reason="{EXITS}"') == 2 * WORKERS


@pytest.mark.parametrize("node_major", NODE_VERSIONS, indirect=True, ids=[f"node-{major}" for major in NODE_VERSIONS])
def test_nobody_sees_what_is_loaded(fastlb: Fastlb, node_major: Path) -> None:
    options = ("--interpreter", str(node_major), "--node-args", "--max-old-space-size=200")
    seen = start_node(fastlb, "shows_preload.js", *options).get().json()
    mine = ["--max-old-space-size=200"]
    for process in (seen["worker"], seen["child"]):
        assert process["execArgv"] == mine
        assert process["loaded"] == []
        assert process["NODE_OPTIONS"] is None
    assert seen["child"]["cmdline"][1:2] == mine
    assert seen["thread"] == mine
    assert seen["program"][0] == "-p"


@pytest.mark.parametrize("node_major", NODE_VERSIONS, indirect=True, ids=[f"node-{major}" for major in NODE_VERSIONS])
def test_http2_sessions_are_told_and_end(fastlb: Fastlb, node_major: Path) -> None:
    """GOAWAY: a client opens no stream any more, and the one that runs is answered."""
    app = start_node(fastlb, "ends/http2.js", "--interpreter", str(node_major), *OPTIONS, workers=1)
    client = subprocess.Popen(
        [node_major, APPS / "ends" / "http2_client.js", f"http://127.0.0.1:{app.address[1]}", "1000"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with client:
        wait_until(lambda: words(app, "begun").total() == 1, "the stream is being processed")
        app.ok("stop", timeout=20)
        heard, _ = client.communicate(timeout=scaled(10))
    assert heard.split() == ["goaway", "200", "closed"]
    assert words(app, "saved").total() == 1


@pytest.mark.parametrize("node_major", NODE_VERSIONS, indirect=True, ids=[f"node-{major}" for major in NODE_VERSIONS])
def test_idle_tls_client_does_not_keep_the_worker(fastlb: Fastlb, node_major: Path) -> None:
    options = (*variables(tls_variables()), "--interpreter", str(node_major), *OPTIONS)
    app = start_node(fastlb, "https.js", *options, workers=1)
    with (
        Connection(app.address, timeout=15) as connection,
        client_context().wrap_socket(connection.sock, server_hostname="test") as client,
    ):
        assert exchange(client, "/").status == 200
        app.ok("stop", timeout=20)
        assert client.recv(100) == b""
