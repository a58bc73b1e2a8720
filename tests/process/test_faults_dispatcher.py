"""A dispatcher that dies or hangs is replaced on the same listeners; workers keep their pids."""

import contextlib
import os
import signal
import socket
from functools import partial
from pathlib import Path

from fastlb.supervisor.home.paths import AppPaths

from tests.support import processes
from tests.support.client import Connection, get
from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.waiting import wait_until

KILLS = 5


def has_accepted(path: str, clients: int) -> bool:
    return processes.accepted_connections(path) == clients


def take_every_descriptor(app: App, supervisor: int, idle: contextlib.ExitStack) -> int:
    """Have a supervisor use every descriptor that it may have; return what its limit was.

    It is looked at only while it has the connections of `idle` and no others: one that is about to be closed would be
    counted, and its descriptor be free a moment later.
    """
    path = str(AppPaths(app.fastlb.home, app.name).control_socket)
    clients = 0
    while True:
        wait_until(partial(has_accepted, path, clients), f"it has the connections of {clients} clients")
        used = processes.open_fds(supervisor)
        if len(used) > max(used):
            return processes.limit_open_files(supervisor, len(used))[0]
        idle.enter_context(socket.socket(socket.AF_UNIX)).connect(path)
        clients += 1


def replace_dispatcher(app: App, number: int, timeout: float = 5.0) -> None:
    """Send the dispatcher a signal and wait for its successor."""
    old = app.dispatcher_pid
    os.kill(old, number)
    wait_until(lambda: not processes.is_running(old), "the old dispatcher is gone", timeout)
    wait_until(lambda: app.dispatcher_pid != old, "a new dispatcher runs", timeout)


def test_killed_dispatcher_is_replaced_and_nobody_is_refused(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    workers = app.worker_pids
    with LoadProcess(Plan(address=app.address, timeout=2)) as load:
        for _ in range(KILLS):
            load.wait_for(100)
            replace_dispatcher(app, signal.SIGKILL)
        load.wait_for(100)
    assert load.report.refused == load.report.timeout == 0, load.report
    assert load.report.failed <= KILLS, load.report
    assert app.worker_pids == workers


def test_keep_alive_clients_do_not_notice_the_death_of_the_dispatcher(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    with LoadProcess(Plan(address=app.address, keep_alive=True)) as load:
        load.wait_for(100)
        replace_dispatcher(app, signal.SIGKILL)
        load.wait_for(100)
    assert load.report.failed == 0, load.report
    assert load.report.connections == load.plan.clients


def test_stopped_dispatcher_is_killed_and_replaced(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    workers = app.worker_pids
    replace_dispatcher(app, signal.SIGSTOP, timeout=15)
    assert app.get().status == 200
    assert app.worker_pids == workers


def test_counts_go_on_under_the_new_dispatcher(fastlb: Fastlb) -> None:
    # What a busy machine lets wait for a moment is not to go to the other worker.
    options = ("--balance", "least-connections", "--handover-timeout", "30s")
    app = fastlb.start("asgi_probe:app", "--workers", "2", *options)
    held = [Connection(app.address) for _ in range(10)]
    wait_until(lambda: sum(w["connections"] for w in app.entry()["workers"]) == 10, "ten connections counted")
    replace_dispatcher(app, signal.SIGKILL)
    held += [Connection(app.address) for _ in range(10)]
    wait_until(lambda: [w["connections"] for w in app.entry()["workers"]] == [10, 10], "evenly spread")
    for client in held:
        client.close()
    wait_until(lambda: [w["connections"] for w in app.entry()["workers"]] == [0, 0], "none is open")


def test_reload_works_under_the_new_dispatcher(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2", "--settle", "0.1")
    replace_dispatcher(app, signal.SIGKILL)
    with LoadProcess(Plan(address=app.address)) as load:
        load.wait_for(50)
        app.ok("reload")
        load.wait_for(50)
    assert load.report.failed == 0, load.report


def test_workers_and_dispatcher_killed_together_come_back(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    for pid in [app.dispatcher_pid, *app.worker_pids]:
        os.kill(pid, signal.SIGKILL)
    assert app.get(timeout=15).status == 200
    app.wait_online(2)


def test_dispatcher_is_replaced_when_the_supervisor_has_no_free_descriptor(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    address, supervisor, dispatcher = app.address, app.supervisor_pid, app.dispatcher_pid
    with contextlib.ExitStack() as idle:
        before = take_every_descriptor(app, supervisor, idle)
        os.kill(dispatcher, signal.SIGKILL)
        assert get(address, timeout=10).status == 200, "descriptors are kept in reserve for this"
        processes.limit_open_files(supervisor, before)
    assert app.dispatcher_pid != dispatcher


def test_dispatcher_that_cannot_be_started_is_tried_again(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    address, supervisor, dispatcher = app.address, app.supervisor_pid, app.dispatcher_pid
    before, _ = processes.limit_open_files(supervisor, 3)  # not even the reserve helps
    os.kill(dispatcher, signal.SIGKILL)
    wait_until(lambda: app.log("supervisor").count("dispatcher_not_started") > 1, "it is tried in vain, and again")
    processes.limit_open_files(supervisor, before)
    assert get(address, timeout=20).status == 200
    app.ok("reload")


# In the place of a dispatcher, while a file exists: one of another release, whose events nobody here knows.
ANOTHER_RELEASE = """
import os, socket, sys
if "fastlb.lb" in sys.orig_argv and os.path.exists(os.environ["FASTLB_TEST_UPGRADED"]):
    control = socket.socket(fileno=int(sys.orig_argv[-1]))
    while control.recv(1 << 20):
        control.send(b"FLM9" + bytes(100))
    os._exit(0)
"""


def test_dispatcher_of_another_release_is_told_of_and_replaced_when_there_is_one_of_ours(
    fastlb: Fastlb, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(ANOTHER_RELEASE)
    upgraded = tmp_path / "upgraded"
    fastlb.env |= {"PYTHONPATH": str(tmp_path), "FASTLB_TEST_UPGRADED": str(upgraded)}
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    workers = app.worker_pids
    upgraded.touch()
    os.kill(app.dispatcher_pid, signal.SIGKILL)
    wait_until(lambda: "dispatcher_of_another_release" in app.log("supervisor"), "it is in the log", 10)
    wait_until(lambda: app.entry()["status"] == "degraded", "it is shown")
    assert "`fastlb stop app` and `fastlb start app`" in app.show()["last_error"]
    with Connection(app.address, timeout=20) as waiting:
        waiting.send()
        upgraded.unlink()
        assert waiting.receive().status == 200
    # A client is answered as soon as the dispatcher has the workers; the supervisor hears of each of them afterwards.
    wait_until(lambda: app.entry()["status"] == "online", "all are in the policy again")
    assert app.show()["last_error"] == ""
    assert app.worker_pids == workers
