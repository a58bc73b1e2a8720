"""Deaths and hangs of Node workers and of the dispatcher: who is answered all the same, and what follows."""

import contextlib
import os
import selectors
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.client import Connection, get
from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Address, Plan
from tests.support.load_process import LoadProcess
from tests.support.node_driver import free_port, start_node, start_where_it_asks, variables, wait_for_answers_of
from tests.support.node_packages import APPS
from tests.support.waiting import scaled, wait_until

CLIENTS = 20
KILLS = 5
KILLS_WHILE_STARTING = 8
FOR_EVER = "/block?ms=600000"
# On a busy machine one that is well gives no sign of life for a second.
HANG_TIMEOUT = f"{scaled(1):g}"


def wait_until_blocked(fastlb: Fastlb, requests: int = 1) -> None:
    wait_until(lambda: fastlb.requests_begun_and_ended()[0] == requests, "the worker is blocked")


@contextmanager
def waiting_clients(app: App, count: int) -> Iterator[list[Connection]]:
    """So many clients, each with a request sent."""
    with ExitStack() as stack:
        clients = [stack.enter_context(Connection(app.address, timeout=20)) for _ in range(count)]
        for client in clients:
            client.send(close=True)
        yield clients


def answered(clients: list[Connection]) -> int:
    """How many have something to read."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.sock, selectors.EVENT_READ)
        return len(selector.select(0))


def kill_dispatcher(app: App) -> None:
    """SIGKILL it and wait until its successor runs."""
    old = app.dispatcher_pid
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: not processes.is_running(old), "the old dispatcher is gone")
    wait_until(lambda: app.dispatcher_pid != old, "another dispatcher runs")


# Workers that die


def test_who_waits_for_a_worker_that_is_killed_is_answered_by_another(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--credit", str(CLIENTS + 1), workers=1)
    (pid,) = app.worker_pids
    with Connection(app.address) as blocking:
        blocking.send(FOR_EVER)
        wait_until_blocked(fastlb)
        with waiting_clients(app, CLIENTS) as clients:
            wait_until(lambda: app.show()["dispatcher"]["dispatched"] == CLIENTS + 1, "all wait for that worker")
            os.kill(pid, signal.SIGKILL)
            assert {client.receive().status for client in clients} == {200}
        with pytest.raises(ConnectionError):
            blocking.receive()
    assert app.show()["dispatcher"]["redispatched"] >= CLIENTS


def test_blocked_worker_of_two_makes_no_client_wait_that_comes_then(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js")
    with Connection(app.address) as blocking:
        blocking.send(FOR_EVER)
        wait_until_blocked(fastlb)
        with waiting_clients(app, CLIENTS) as clients:
            wait_until(lambda: answered(clients) == CLIENTS, "all are answered by the other", timeout=10)
            assert answered([blocking]) == 0, "it is blocked all the time"
            assert {client.receive().status for client in clients} == {200}
        for pid in app.worker_pids:
            os.kill(pid, signal.SIGKILL)


def test_exit_unasked_is_a_crash_whatever_the_code(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", workers=1)
    (before,) = app.worker_pids
    with pytest.raises(ConnectionError):
        app.get("/exit?code=0")
    assert app.get(timeout=15).json()["pid"] != before
    (line,) = [line for line in app.log("supervisor").splitlines() if "worker_crashed" in line]
    assert ' reason="exited with code 0"' in line
    assert app.entry()["restarts"] == 1


def test_uncaught_error_is_a_crash_with_its_trace_in_the_log(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", workers=1)
    with pytest.raises(ConnectionError):
        app.get("/crash")
    assert app.get(timeout=15).status == 200
    assert "Error: asked to crash" in app.log("error")
    assert 'reason="exited with code 1"' in app.log("supervisor")


def test_worker_that_crashes_too_often_is_given_up(fastlb: Fastlb) -> None:
    bounds = ("--min-uptime", "60", "--max-restarts", "3", "--restart-delay", "0.05")
    # At another address: a port of 127.0.0.1 may be a client's when the app opens it again.
    app = start_node(fastlb, "http.js", *bounds, "--bind", "127.0.0.9:0", workers=1)
    for _ in range(3):
        with pytest.raises(ConnectionError):
            app.get("/exit?code=3", timeout=15)
    wait_until(lambda: app.entry()["workers"][0]["status"] == "errored", "it is given up")
    assert app.entry()["status"] == "errored"
    assert "exited with code 3" in app.show()["last_error"]
    wait_until(lambda: is_refused(app.address), "clients are refused")
    app.ok("reload")
    assert app.get().status == 200


@pytest.mark.parametrize("command", ["restart", "reload"])
def test_ports_that_an_app_asked_for_are_closed_when_nobody_serves_them(fastlb: Fastlb, command: str) -> None:
    ports = {"PORT": free_port(), "ADMIN_PORT": free_port()}
    no_restarts = ("--min-uptime", "60", "--max-restarts", "1")
    app = start_where_it_asks(fastlb, APPS / "two_ports.js", *variables(ports), *no_restarts)
    addresses = [("127.0.0.1", port) for port in ports.values()]
    with Connection(addresses[0]) as idle:
        idle.exchange()
        for pid in app.worker_pids:
            os.kill(pid, signal.SIGKILL)
        assert idle.sock.recv(1) == b"", "a keep-alive client gets an end"
    wait_until(lambda: app.entry()["status"] == "errored", "it is errored")
    wait_until(lambda: all(is_refused(address) for address in addresses), "clients are refused")
    app.ok(command)
    assert [get(address).status for address in addresses] == [200, 200]


def test_run_ends_with_the_code_of_the_app(fastlb: Fastlb) -> None:
    options = ("--name", "app", "--workers", "1", "--min-uptime", "60", "--max-restarts", "1", "--settle", "0.1")
    port = free_port()
    process = fastlb.popen("run", str(APPS / "http.js"), *options, *variables({"PORT": port, "HOST": "127.0.0.1"}))
    wait_until(lambda: [e for e in fastlb.list_json() if e["status"] == "online"], "it is online", 20)
    with pytest.raises(ConnectionError):
        get(("127.0.0.1", port), "/exit?code=3")
    _, errors = process.communicate(timeout=scaled(20))
    assert process.returncode == 3, errors
    assert "error: app has ended: every worker crashed too often: exited with code 3\n" in errors


def is_refused(address: Address) -> bool:
    """Whether nobody listens there."""
    try:
        Connection(address, timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


# Workers that hang, or leave


def test_worker_whose_event_loop_hangs_is_killed_and_replaced(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--hang-timeout", HANG_TIMEOUT)
    before = app.worker_pids
    with Connection(app.address, timeout=15) as client:
        client.send(FOR_EVER)
        with pytest.raises(ConnectionError):
            client.receive()
    app.wait_online(2)
    after = app.worker_pids
    assert len(set(before) & set(after)) == 1, "the other one goes on"
    assert f"gave no sign of life for hang_timeout ({HANG_TIMEOUT} s)" in app.log("supervisor")


def test_worker_that_is_blocked_for_less_is_left_alone(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--hang-timeout", f"{scaled(3):g}")
    before = app.worker_pids
    for _ in range(2):
        assert app.get("/block?ms=1000").status == 200
    assert app.worker_pids == before
    assert "worker_hung" not in app.log("supervisor")


def test_idle_workers_are_no_hung_ones(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--hang-timeout", HANG_TIMEOUT)
    before = app.worker_pids
    idle = 2 * float(HANG_TIMEOUT)
    wait_until(lambda: app.entry()["workers"][0]["uptime_s"] > idle, "they have had nothing to do", timeout=10)
    assert app.worker_pids == before
    assert wait_for_answers_of(app.address) == set(before)


def test_worker_that_leaves_by_its_own_wish_is_replaced(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "self_disconnect.js")
    before = app.worker_pids
    leaving = app.get("/leave").json()["pid"]
    wait_until(lambda: not processes.is_running(leaving), "it has left")
    app.wait_online(2)
    assert len(set(before) & set(app.worker_pids)) == 1
    assert app.get().status == 200
    assert "left by its own wish" in app.log("supervisor")
    assert "killed" not in app.log("supervisor")


def test_nobody_is_lost_when_all_workers_leave(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "self_disconnect.js")
    before = app.worker_pids
    with LoadProcess(Plan(address=app.address, timeout=15)) as load:
        while set(before) & set(app.worker_pids):
            app.get("/leave", timeout=15)
        load.wait_for(50)
    assert load.report.failed == 0, load.report


def test_worker_that_listens_anew_goes_on(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "relisten.js", workers=1)
    before = app.worker_pids
    for _ in range(3):
        assert app.get("/relisten").status == 200
        assert app.get().status == 200
    wait_until(lambda: app.get().json()["listens"] == 4, "it has listened three times more")
    assert app.worker_pids == before


# The dispatcher


def test_dispatcher_that_is_killed_under_load_costs_no_worker(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js")
    workers = app.worker_pids
    with LoadProcess(Plan(address=app.address)) as load:
        for _ in range(KILLS):
            load.wait_for(50)
            kill_dispatcher(app)
        load.wait_for(50)
    assert load.report.refused == load.report.timeout == 0, load.report
    assert load.report.failed <= KILLS, load.report
    assert app.worker_pids == workers


def test_keep_alive_clients_do_not_notice_the_death_of_the_dispatcher(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js")
    with LoadProcess(Plan(address=app.address, keep_alive=True)) as load:
        load.wait_for(100)
        kill_dispatcher(app)
        load.wait_for(100)
    assert load.report.failed == 0, load.report
    assert load.report.connections == load.plan.clients


def test_reload_survives_dispatchers_that_die_as_soon_as_they_are_ready(fastlb: Fastlb) -> None:
    """What a worker asks while there is none, or one that dies with it, must be answered by the next one."""
    app = start_node(fastlb, "http.js", "--settle", "0", "--listen-timeout", "30")
    supervisor = app.supervisor_pid
    for _ in range(3):
        before = set(app.worker_pids)
        reloading = fastlb.popen("reload", "app")
        for _ in range(KILLS_WHILE_STARTING):
            kill_ready_dispatcher(app, supervisor)
        _, errors = reloading.communicate(timeout=scaled(30))
        assert reloading.returncode == 0, errors
        assert not before & set(app.worker_pids)
    assert wait_for_answers_of(app.address) == set(app.worker_pids)


def kill_ready_dispatcher(app: App, supervisor: int) -> None:
    """SIGKILL the dispatcher and wait until its successor knows everything."""
    ready = app.log("supervisor").count("dispatcher_ready")
    kill_any_dispatcher(supervisor)
    wait_until(lambda: app.log("supervisor").count("dispatcher_ready") > ready, "another one is ready", timeout=10)


def kill_any_dispatcher(supervisor: int) -> None:
    """SIGKILL it if there is one just now."""
    for pid in processes.children(supervisor):
        if "fastlb.lb" in processes.command_line(pid):
            with contextlib.suppress(ProcessLookupError):  # it may end by itself meanwhile
                os.kill(pid, signal.SIGKILL)


def test_workers_and_dispatcher_that_die_together_come_back(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js")
    for pid in [app.dispatcher_pid, *app.worker_pids]:
        os.kill(pid, signal.SIGKILL)
    assert get(app.address, timeout=15).status == 200
    app.wait_online(2)


def test_worker_that_drains_while_the_dispatcher_dies_finishes(fastlb: Fastlb, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    app = start_node(fastlb, "http.js", "--settle", "0", workers=1)
    with Connection(app.address, timeout=20) as client:
        client.send(f"/until?file={gate}", close=True)
        wait_until_blocked(fastlb)
        app.ok("reload")
        kill_dispatcher(app)
        gate.touch()
        assert client.receive().status == 200
    app.wait_online(1)
    (line,) = [line for line in app.log("supervisor").splitlines() if "worker_exited" in line]
    assert line.endswith('reason="exited with code 0"')


def test_stop_while_there_is_no_dispatcher(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--kill-timeout", "1")
    supervisor = app.supervisor_pid
    stopping = fastlb.popen("stop", "app")
    while stopping.poll() is None:
        kill_any_dispatcher(supervisor)
    _, errors = stopping.communicate(timeout=scaled(20))
    assert stopping.returncode == 0, errors
    assert fastlb.pids == []


def test_dispatcher_that_hangs_is_not_held_against_the_workers(fastlb: Fastlb) -> None:
    """They are heard through the dispatcher: while that is stopped, nobody can give a sign of life."""
    app = start_node(fastlb, "http.js", "--hang-timeout", HANG_TIMEOUT)
    workers = app.worker_pids
    old = app.dispatcher_pid
    os.kill(old, signal.SIGSTOP)
    wait_until(lambda: app.dispatcher_pid != old, "another dispatcher runs", timeout=20)
    assert wait_for_answers_of(app.address) == set(workers) == set(app.worker_pids)
    assert "worker_hung" not in app.log("supervisor")
