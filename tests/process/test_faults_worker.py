"""Workers that are killed, stopped or blocked: what was not being processed is served by another."""

import os
import random
import signal
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.client import Connection
from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.waiting import scaled, wait_until

CLIENTS = 8
KILLS = 5


def test_kill_of_workers_costs_only_the_requests_that_they_were_processing(fastlb: Fastlb, rng: random.Random) -> None:
    # What lies in the channel of one that is stopped stays there until it is killed.
    app = fastlb.start("asgi_probe:app", "--workers", "3", "--handover-timeout", "1h")
    plan = Plan(address=app.address, path="/sleep?0.002", clients=CLIENTS, timeout=scaled(30))
    processed = 0
    with LoadProcess(plan) as load:
        for _ in range(KILLS):
            load.wait_for(100)
            app.wait_online(3)
            processed += stop_and_kill(app, rng.randrange(3))
        load.wait_for(100)
        app.wait_online(3)
    assert load.report.refused == load.report.timeout == load.report.bad_status == 0, load.report
    assert load.report.failed <= processed, load.report


def stop_and_kill(app: App, victim: int) -> int:
    """Kill a worker with others' connections in its channel; return how many it had taken: it was processing these."""
    pid = app.worker_pids[victim]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: processes.is_stopped(pid), "the worker is stopped")
    taken = processes.connections_of(pid, app.port)
    wait_until(lambda: taken == CLIENTS or app.untaken(victim), "something lies in its channel")
    os.kill(pid, signal.SIGKILL)
    return taken


def test_killed_worker_is_replaced_under_its_id(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    first, second = app.worker_pids
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: len(now := app.worker_pids) == 2 and first not in now, "the worker is replaced", 15)
    assert app.worker_pids[1] == second
    seen: set[int] = set()

    def both_have_answered() -> bool:
        seen.add(app.get().json()["worker"])
        return seen == {0, 1}

    wait_until(both_have_answered, "both answer")
    assert app.entry()["workers"][0]["restarts"] == 1


def test_all_workers_killed_at_once_nobody_is_refused(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    for pid in app.worker_pids:
        os.kill(pid, signal.SIGKILL)
    assert app.get(timeout=15).status == 200


def test_stopped_worker_does_not_delay_new_clients(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    stopped, running = app.worker_pids
    os.kill(stopped, signal.SIGSTOP)
    wait_until(lambda: processes.is_stopped(stopped), "the worker is stopped")
    answers = [app.get(timeout=2).json()["pid"] for _ in range(60)]
    assert set(answers) == {running}
    os.kill(stopped, signal.SIGCONT)
    wait_until(lambda: app.get().json()["pid"] == stopped, "the worker serves again")


def test_blocked_worker_does_not_delay_new_clients(fastlb: Fastlb, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    # One that has nothing to do may need longer than 5 ms beside other tests, and what it has would be offered anew.
    app = fastlb.start("asgi_probe:app", "--workers", "2", "--handover-timeout", "100ms")
    with Connection(app.address) as client:
        client.send(f"/block-until?{gate}")
        wait_until(lambda: fastlb.requests_begun_and_ended() == (1, 0), "a worker is blocked")
        answers = {app.get(timeout=2).json()["pid"] for _ in range(40)}
        assert len(answers) == 1
        # Most of them are not even offered to the blocked worker.
        assert app.show()["dispatcher"]["redispatched"] < 20
        gate.touch()
        assert client.receive().json()["pid"] not in answers


# What a blocked worker does not take goes to the other after the time-out; a full one must not need it.
@pytest.mark.parametrize(("path", "handover_timeout"), [("/fill", "30s"), ("/fill-and-block", "50ms")])
def test_worker_that_spoils_its_wakeups_harms_only_itself(fastlb: Fastlb, path: str, handover_timeout: str) -> None:
    fastlb.allow_in_logs("Fatal Python error", "core dumped")  # it hangs, by its own doing
    options = ("--workers", "2", "--threads", "1", "--handover-timeout", handover_timeout, "--kill-timeout", "1")
    app = fastlb.start("fills_wakeups:app", *options)
    workers = app.worker_pids
    with Connection(app.address) as spoiler:  # its answer may be what the worker hangs with
        spoiler.send(path)
        wait_until(lambda: "spoilt" in app.log("out"), "the worker has spoilt its wake-ups")
        spoiled = int(app.log("out").split()[-1])
    # More clients than workers: whenever one is done, the dispatcher sleeps until it is told so.
    with LoadProcess(Plan(address=app.address, clients=CLIENTS)) as load:
        load.wait_for(300, timeout=20)
    assert load.report.failed <= 1, load.report
    assert {pid for pid in workers if pid != spoiled} <= set(app.worker_pids)


@pytest.mark.parametrize(("path", "reason"), [("/limit", "is short of descriptors"), ("/nonsense", "makes no sense")])
def test_worker_that_gets_fewer_connections_by_its_own_doing_is_told_of(fastlb: Fastlb, path: str, reason: str) -> None:
    app = fastlb.start("impedes_itself:app", "--workers", "2")
    impeded = int(app.get(path).body)
    wait_until(lambda: app.get() and impediments(app), "it is shown", timeout=10)
    (shown,) = impediments(app).items()
    assert shown[0] == impeded
    assert reason in shown[1]
    assert reason in fastlb.ok("show", "app").stdout
    assert app.get().status == 200
    wait_until(lambda: app.log("supervisor").count("worker_impeded") == 1, "it is logged")


@pytest.mark.parametrize("target", ["low_limit:app", "low_limit:wsgi_app"])
def test_app_whose_workers_all_take_nothing_is_told_of(fastlb: Fastlb, target: str) -> None:
    app = fastlb.start(target, "--workers", "2")
    with Connection(app.address) as waiting:
        waiting.send()
        wait_until(lambda: len(impediments(app)) == 2, "it is shown of both", timeout=10)
    reason = "is short of descriptors and takes no connections: its app has lowered the limit (RLIMIT_NOFILE)"
    assert all(shown.startswith(reason) for shown in impediments(app).values())
    assert fastlb.ok("show", "app").stdout.count(reason) == 2
    wait_until(lambda: app.log("supervisor").count("worker_impeded") == 2, "it is logged")


def impediments(app: App) -> dict[int, str]:
    """Return pid -> why the worker gets fewer connections than it could."""
    return {worker["pid"]: worker["impediment"] for worker in app.entry()["workers"] if worker["impediment"]}


def test_connections_queued_to_a_killed_worker_are_served_by_others(fastlb: Fastlb) -> None:
    options = ("--workers", "1", "--credit", "32", "--handover-timeout", "30")
    app = fastlb.start("asgi_probe:app", *options)
    (pid,) = app.worker_pids
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: processes.is_stopped(pid), "the worker is stopped")
    clients = [Connection(app.address, timeout=15) for _ in range(20)]
    for client in clients:
        client.send()
    wait_until(lambda: app.entry()["workers"][0]["connections"] == 20, "20 connections lie in its channel")
    os.kill(pid, signal.SIGKILL)
    for client in clients:
        with client:
            assert client.receive().json()["pid"] != pid


def test_hung_worker_is_killed_with_its_stack_in_the_log(fastlb: Fastlb) -> None:
    fastlb.allow_in_logs("Fatal Python error", "core dumped")
    app = fastlb.start("asgi_probe:app", "--workers", "2", "--hang-timeout", "1")
    before = app.worker_pids
    with Connection(app.address, timeout=20) as client:
        client.send("/block?60")
        wait_until(lambda: fastlb.requests_begun_and_ended() == (1, 0), "a worker is blocked")
        wait_until(lambda: len(now := app.worker_pids) == 2 and now != before, "it is replaced", 15)
    assert "answer" in app.log("error"), "the stack shows where it hung"


def test_children_of_a_killed_worker_are_killed_with_it(fastlb: Fastlb) -> None:
    app = fastlb.start("forks:app", "--workers", "1")
    child = app.get("/fork").json()["child"]
    assert processes.is_running(child)
    os.kill(app.worker_pids[0], signal.SIGKILL)
    wait_until(lambda: not processes.is_running(child), "the child is gone")


def test_no_zombies_after_many_deaths(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "4", "--max-restarts", "100")
    for _ in range(3):
        kill_all_workers(app)
    children = processes.children(app.supervisor_pid)
    assert all(processes.is_running(pid) for pid in children)
    assert len(children) == 5


def kill_all_workers(app: App) -> None:
    """SIGKILL every worker and wait for their successors."""
    before = set(app.worker_pids)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(now := set(app.worker_pids)) == len(before) and not now & before, "all are replaced", 15)
