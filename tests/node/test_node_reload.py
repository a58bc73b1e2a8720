"""`reload`, `restart` and `scale` of a Node app under load: what is lost (nothing), what listens, who is admitted."""

import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.client import Connection, get
from tests.support.fastlb_process import App, Fastlb, describe
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.node_driver import free_port, start_node, start_where_it_asks, variables
from tests.support.node_packages import APPS, NODE_VERSIONS
from tests.support.waiting import scaled, wait_until

QUICK = ("--settle", "0.2", "--listen-timeout", f"{scaled(5):g}")
# What a keep-alive client meets whose next request crosses the end that the worker has sent.
RACE = {"reset", "closed_early"}


@pytest.fixture
def release(fastlb: Fastlb, tmp_path: Path) -> Callable[[str], None]:
    """Switch what the next generation of release.js runs."""
    file = tmp_path / "release"
    fastlb.env["FASTLB_TEST_RELEASE"] = str(file)
    file.write_text("http")

    def switch(module: str) -> None:
        file.write_text(module)

    return switch


def is_open(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=scaled(2)):
            return True
    except ConnectionRefusedError:
        return False


def no_worker_runs(app: App) -> bool:
    return not any(worker["pid"] for worker in app.entry()["workers"])


def test_no_new_connection_fails_during_reloads(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", *QUICK)
    with LoadProcess(Plan(address=app.address)) as load:
        for _ in range(3):
            before = set(app.worker_pids)
            app.ok("reload")
            assert not before & set(app.worker_pids)
            load.wait_for(100)
    assert load.report.failed == 0, load.report


@pytest.mark.parametrize("node_major", NODE_VERSIONS, indirect=True, ids=[f"node-{major}" for major in NODE_VERSIONS])
def test_no_keep_alive_client_loses_a_request(fastlb: Fastlb, node_major: Path) -> None:
    app = start_node(fastlb, "http.js", "--interpreter", str(node_major), *QUICK)
    with LoadProcess(Plan(address=app.address, keep_alive=True)) as load:
        for _ in range(3):
            app.ok("reload")
            load.wait_for(200)
    assert load.report.failed == 0, load.report


def test_no_request_that_a_worker_has_begun_is_lost_by_nodes_own_disconnect(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--no-node-preload", *QUICK)
    with LoadProcess(Plan(address=app.address, keep_alive=True)) as load:
        for _ in range(2):
            app.ok("reload")
            load.wait_for(200)
    report = load.report
    assert all(failure.reused and failure.kind in RACE for failure in report.failures), report
    assert report.failed <= load.plan.clients * 4, "at most once a client and replaced worker"
    wait_until(lambda: len(set(fastlb.requests_begun_and_ended())) == 1, "every request that was begun is ended")


def test_running_request_is_answered_by_the_old_worker(fastlb: Fastlb, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    app = start_node(fastlb, "http.js", *QUICK, workers=1)
    (old_pid,) = app.worker_pids
    with Connection(app.address) as client:
        client.send(f"/until?file={gate}", close=True)
        wait_until(lambda: fastlb.requests_begun_and_ended() == (1, 0), "the request is being processed")
        app.ok("reload")
        assert fastlb.requests_begun_and_ended() == (1, 0), "the reload does not wait for old workers"
        assert get(app.address).json()["pid"] != old_pid
        gate.touch()
        assert client.receive().json()["pid"] == old_pid


@pytest.mark.parametrize(
    ("broken", "shown"),
    [
        ("dies_at_load", "this app cannot be loaded"),
        ("syntax_error", "SyntaxError"),
        ("never_listens", "did not listen"),
        ("dies_after_listening", "this app does not live long"),
        ("exits_at_load", "exited with code 0"),
    ],
)
def test_broken_release_changes_nothing(
    fastlb: Fastlb, release: Callable[[str], None], broken: str, shown: str
) -> None:
    app = start_node(fastlb, "release.js", "--settle", "0.5", "--listen-timeout", f"{scaled(2):g}")
    before = app.worker_pids
    with LoadProcess(Plan(address=app.address)) as load:
        load.wait_for(20)
        release(broken)
        app.ok("set", "settle=20s")  # it dies soon after it listens, and later on a busy machine
        result = fastlb.cli("reload", app.name)
        load.wait_for(20)
    assert result.returncode == 1, describe(result)
    assert shown in result.stderr, describe(result)
    assert app.worker_pids == before
    assert "nothing was changed" in app.show()["last_error"]
    assert load.report.failed == 0, load.report


def test_release_on_another_port_is_no_replacement_and_a_restart_opens_it_and_closes_the_old_one(
    fastlb: Fastlb, tmp_path: Path
) -> None:
    old, new, port = free_port(), free_port(), tmp_path / "port"
    port.write_text(str(old))
    app = start_where_it_asks(fastlb, APPS / "port_from_file.js", *QUICK, *variables({"PORT_FILE": port}))
    before = app.worker_pids
    port.write_text(str(new))
    result = fastlb.cli("reload", app.name)
    assert result.returncode == 1, describe(result)
    assert f"it listens on 127.0.0.1:{new}, but not on 127.0.0.1:{old}, which would be closed" in result.stderr
    assert "nothing was changed" in result.stderr
    assert app.worker_pids == before
    assert get(("127.0.0.1", old)).status == 200
    wait_until(lambda: not is_open(new), "the new port is closed")
    app.ok("restart")
    assert get(("127.0.0.1", new)).status == 200
    wait_until(lambda: not is_open(old), "the old port is closed")
    wait_until(lambda: app.binds == [f"127.0.0.1:{new}"], "the list tells it")


def test_app_that_leaves_a_port_that_answers_is_not_moved_by_a_reload(fastlb: Fastlb) -> None:
    port = free_port()
    options = (*QUICK, *variables({"PORT": port}))
    app = start_where_it_asks(fastlb, APPS / "takes_another_port.js", *options, workers=1)
    before = app.worker_pids
    result = fastlb.cli("reload", app.name)
    assert result.returncode == 1, describe(result)
    assert f"not on 127.0.0.1:{port}, which would be closed" in result.stderr
    assert app.worker_pids == before
    assert get(("127.0.0.1", port)).status == 200
    wait_until(lambda: app.binds == [f"127.0.0.1:{port}"], "what the replacement opened is closed")


def test_workers_of_one_generation_on_different_ports_are_warned_of(fastlb: Fastlb) -> None:
    first, second = free_port(), free_port()
    options = variables({"PORTS": f"{first},{second}"})
    asked = ("start", str(APPS / "port_by_worker.js"), "--name", "app", "--workers", "2", "--env", "HOST=127.0.0.1")
    shown = fastlb.ok(*asked, "--settle", "2", *options).stdout
    assert "clients of a port reach only its workers" in shown
    assert f"127.0.0.1:{first}" in shown
    assert f"127.0.0.1:{second}" in shown
    assert "different_ports" in fastlb.app().log("supervisor")


def test_port_that_one_worker_has_in_addition_is_not_warned_of(fastlb: Fastlb) -> None:
    options = variables({"ADMIN_PORT": free_port(), "PORT": free_port()})
    app = start_where_it_asks(fastlb, APPS / "admin_on_first.js", *options, "--settle", "2")
    app.ok("reload")
    assert "different_ports" not in app.log("supervisor")


ADDRESSES = [("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "::"), ("::", "127.0.0.1")]


@pytest.mark.parametrize(("old", "new"), ADDRESSES, ids=[f"{old}-to-{new}" for old, new in ADDRESSES])
def test_release_at_another_address_of_its_port_is_explained_by_reload_and_started_by_restart(
    fastlb: Fastlb, tmp_path: Path, old: str, new: str
) -> None:
    port, host = free_port(), tmp_path / "host"
    host.write_text(old)
    options = variables({"PORT": port, "HOST_FILE": host})
    app = start_where_it_asks(fastlb, APPS / "address_from_file.js", *QUICK, *options)
    before = app.worker_pids
    host.write_text(new)
    result = fastlb.cli("reload", app.name)
    assert result.returncode == 1, describe(result)
    assert "this app itself listens on" in result.stderr
    assert "`fastlb restart app`" in result.stderr
    assert "stop that" not in result.stderr
    assert app.worker_pids == before
    app.ok("restart")
    app.wait_online(2)
    assert app.binds == [f"*:{port}" if new == "::" else f"{new}:{port}"]  # `::` is both families
    assert get(("127.0.0.1", port)).status == 200


def test_worker_comes_back_beside_one_that_has_more_ports(fastlb: Fastlb) -> None:
    options = (*variables({"ADMIN_PORT": free_port(), "HOST": "127.0.0.1"}), "--listen-timeout", f"{scaled(2):g}")
    app = start_node(fastlb, "admin_on_first.js", *options)
    first, second = app.worker_pids
    os.kill(second, signal.SIGKILL)
    wait_until(lambda: app.entry()["workers"][1]["pid"] not in (second, None), "it is started again")
    app.wait_online(2)
    assert app.worker_pids[0] == first


def test_server_that_all_workers_have_closed_is_closed(fastlb: Fastlb) -> None:
    port, admin = free_port(), free_port()
    options = variables({"PORT": port, "ADMIN_PORT": admin})
    app = start_where_it_asks(fastlb, APPS / "closes_server.js", *options)
    for _ in app.worker_pids:
        assert get(("127.0.0.1", port), "/close").status == 200
    wait_until(lambda: not is_open(port), "it is closed")
    assert get(("127.0.0.1", admin)).status == 200
    wait_until(lambda: app.binds == [f"127.0.0.1:{admin}"], "the list tells it")


def test_release_on_another_port_is_served_at_bind_as_before(fastlb: Fastlb, tmp_path: Path) -> None:
    port = tmp_path / "port"
    port.write_text("3000")
    app = start_node(fastlb, "port_from_file.js", *QUICK, *variables({"PORT_FILE": port}))
    port.write_text("4000")
    with LoadProcess(Plan(address=app.address)) as load:
        load.wait_for(50)
        app.ok("reload")
        load.wait_for(50)
    assert load.report.failed == 0, load.report
    assert app.get("/address").json()["port"] == 4000


@pytest.fixture
def current(tmp_path: Path) -> Path:
    """A link to the release `old`, beside which there is the release `new`."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        for file in ("http.js", "ledger.js", "whoami.js"):
            shutil.copy(APPS / file, tmp_path / name)
    (tmp_path / "current").symlink_to("old")
    return tmp_path / "current"


def switch(current: Path) -> None:
    """Have the link lead to the new release, at once."""
    (current.parent / "next").symlink_to("new")
    (current.parent / "next").rename(current)


def test_reload_follows_a_link_to_the_new_release(fastlb: Fastlb, current: Path) -> None:
    options = ("--bind", "127.0.0.1:0", "--env", "PORT=3000", "--cwd", str(current), *QUICK)
    app = fastlb.start("http.js", *options)
    assert command_of(app) == str(current.parent / "old" / "http.js")
    switch(current)
    shutil.rmtree(current.parent / "old")
    app.ok("reload")
    assert command_of(app) == str(current.parent / "new" / "http.js")


def command_of(app: App) -> str:
    """The script that its first worker runs."""
    return processes.command_line(app.worker_pids[0])[-1]


def test_release_that_was_removed_changes_nothing(fastlb: Fastlb, current: Path) -> None:
    options = ("--bind", "127.0.0.1:0", "--env", "PORT=3000", "--cwd", str(current), *QUICK)
    app = fastlb.start("http.js", *options)
    before = app.worker_pids
    shutil.rmtree(current.parent / "old")
    result = fastlb.cli("reload", app.name)
    assert result.returncode == 1, describe(result)
    assert f"cannot work in {current}" in result.stderr
    assert app.worker_pids == before
    assert app.get().status == 200


def test_failed_release_on_another_port_leaves_no_port_open(
    fastlb: Fastlb, tmp_path: Path, release: Callable[[str], None]
) -> None:
    old, new = free_port(), free_port()
    port = tmp_path / "port"
    port.write_text(str(old))
    release("port_from_file")
    app = start_where_it_asks(fastlb, APPS / "release.js", *QUICK, *variables({"PORT_FILE": port}))
    port.write_text(str(new))
    release("dies_after_listening_on_port_file")
    assert fastlb.cli("reload", app.name).returncode == 1
    wait_until(lambda: not is_open(new), "the new port is closed")
    assert get(("127.0.0.1", old)).status == 200
    wait_until(lambda: app.binds == [f"127.0.0.1:{old}"], "the list tells it")


def test_clients_wait_while_all_workers_are_dead_and_are_answered(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "slow_start.js", "--env", "START_AFTER=500")
    for pid in app.worker_pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(processes.is_running, app.worker_pids)), "no worker is online")
    assert get(app.address, timeout=15).status == 200


def test_clients_wait_while_the_app_is_restarted(fastlb: Fastlb) -> None:
    # So short a hang_timeout has the supervisor look at its generations many times meanwhile.
    options = ("--hang-timeout", f"{scaled(0.5):g}", "--env", "START_AFTER=700", "--env", "HOST=127.0.0.1")
    app = start_where_it_asks(fastlb, APPS / "slow_start.js", "--env", f"PORT={free_port()}", *options)
    before = set(app.worker_pids)
    with LoadProcess(Plan(address=app.address, timeout=15)) as load:
        load.wait_for(20)
        app.ok("restart")
        load.wait_for(20)
    assert load.report.failed == 0, load.report
    assert not before & set(app.worker_pids)


def test_clients_are_refused_after_a_restart_that_failed_until_one_succeeds(
    fastlb: Fastlb, release: Callable[[str], None]
) -> None:
    port = free_port()
    options = (*QUICK, "--hang-timeout", f"{scaled(0.5):g}", "--env", f"PORT={port}")
    app = start_where_it_asks(fastlb, APPS / "release.js", *options)
    release("dies_at_load")
    assert fastlb.cli("restart", app.name).returncode == 1
    wait_until(lambda: no_worker_runs(app), "no worker runs")
    wait_until(lambda: is_refused(port), "clients are refused")
    release("http")
    app.ok("restart")
    assert get(("127.0.0.1", port)).status == 200


def is_refused(port: int) -> bool:
    """Whether nobody listens there."""
    try:
        Connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_nothing_is_lost_while_it_is_scaled(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", *QUICK)
    first = app.worker_pids
    with LoadProcess(Plan(address=app.address)) as load:
        for workers in ("4", "1", "3"):
            app.ok("scale", workers)
            load.wait_for(50)
    assert load.report.failed == 0, load.report
    app.wait_online(3)
    assert app.worker_pids[0] == first[0]


def test_no_request_reaches_a_worker_before_its_word(fastlb: Fastlb, tmp_path: Path) -> None:
    file = tmp_path / "may-say-ready"
    file.touch()
    options = ("--wait-ready", *QUICK, *variables({"READY_FILE": file}))
    app = start_node(fastlb, "ready_by_file.js", *options, workers=1)
    (old_pid,) = app.worker_pids
    file.unlink()
    with LoadProcess(Plan(address=app.address)) as load:
        reloading = fastlb.popen("reload", app.name)
        wait_until(lambda: app.log("out").count("listening") == 2, "the replacement listens")
        for _ in range(20):
            assert get(app.address).json() == {"pid": old_pid, "hasSaidReady": True}
        file.touch()
        _, errors = reloading.communicate(timeout=scaled(20))
        assert reloading.returncode == 0, errors
    assert load.report.failed == 0
    answer = get(app.address).json()
    assert answer["hasSaidReady"]
    assert answer["pid"] != old_pid
