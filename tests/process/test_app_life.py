"""An App with real processes: start, crash, crash loop, hang, stop."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from fastlb.lb.page import PAGE_SLOTS
from fastlb.supervisor.control.protocol import WorkerEntry
from fastlb.supervisor.errors import EXIT_USAGE, BusyError, FastlbError, StartFailed

from tests.support import processes
from tests.support.client import Connection
from tests.support.running_app import RunningApp, config, ignore_progress, run
from tests.support.waiting import scaled


def test_start_returns_when_all_workers_serve() -> None:
    async def scenario(running: RunningApp) -> None:
        told: list[int] = []
        await running.app.start(lambda progress: told.append(progress.admitted))
        assert running.statuses == ["online", "online"]
        assert told[-1] == 2
        seen: set[int] = set()
        async with asyncio.timeout(scaled(10)):
            while seen != {0, 1}:  # one that is still busy with its last client is passed over
                seen.add((await running.get()).json()["worker"])

    run(config(), scenario)


def test_status_counts_requests_and_connections(tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def scenario(running: RunningApp) -> None:
        await running.start()
        with Connection(running.address) as client:
            client.send(f"/until?{gate}")
            await running.wait_until(lambda: running.workers[0].connections == 1, "the connection is open")
            assert running.workers[0].rss_bytes > 1_000_000
            gate.touch()
            await asyncio.to_thread(client.receive)
        assert running.workers[0].requests == 1
        await running.wait_until(lambda: running.workers[0].connections == 0, "it is closed")

    run(config(workers=1), scenario)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("dies_at_import:app", "this app cannot be imported"),
        ("exits_at_import:app", "exit"),
        ("syntax_error:app", "SyntaxError"),
    ],
)
def test_start_fails_as_a_whole_with_the_traceback_and_leaves_nothing(target: str, words: str) -> None:
    async def scenario(running: RunningApp) -> None:
        with pytest.raises(StartFailed) as failure:
            await running.start()
        assert words in failure.value.message + failure.value.details
        assert processes.children(os.getpid()) == []

    run(config(target), scenario)


def test_wrong_target_is_a_usage_error() -> None:
    async def scenario(running: RunningApp) -> None:
        with pytest.raises(StartFailed) as failure:
            await running.start()
        assert failure.value.exit_code == EXIT_USAGE
        assert "asgi_prob" in failure.value.message

    run(config("asgi_prob:app"), scenario)


def test_worker_that_is_never_ready_fails_the_start() -> None:
    async def scenario(running: RunningApp) -> None:
        with pytest.raises(StartFailed, match="listen-timeout"):
            await running.start()

    run(config("never_ready:app", listen_timeout=1.0), scenario)


def test_missing_working_directory_is_named(tmp_path: Path) -> None:
    async def scenario(running: RunningApp) -> None:
        with pytest.raises(StartFailed, match="gone"):
            await running.start()

    run(config(cwd=str(tmp_path / "gone")), scenario)


def test_wait_ready_needs_the_word_of_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = tmp_path / "gate"
    monkeypatch.setenv("FASTLB_TEST_GATE", str(gate))

    async def scenario(running: RunningApp) -> None:
        starting = asyncio.create_task(running.start())
        await running.wait_until(lambda: running.statuses == ["starting"], "the worker is there")
        gate.touch()
        await starting
        assert running.statuses == ["online"]

    run(config("says_ready:app", workers=1, wait_ready=True), scenario)


def test_crashed_worker_is_restarted_and_keeps_its_figures() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        await running.get()
        (pid,) = running.pids
        os.kill(pid, signal.SIGKILL)
        await running.wait_until(lambda: running.pids not in ([], [pid]), "another process is online")
        assert (running.workers[0].restarts, running.workers[0].requests) == (1, 1)
        assert (await running.get()).status == 200
        assert "killed by SIGKILL" in running.log()

    run(config(workers=1), scenario)


def test_clean_exit_that_nobody_asked_for_is_a_crash() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        with pytest.raises(ConnectionError):
            await running.get("/exit?0")
        await running.wait_until(lambda: running.events("worker_crashed") == 1, "it is called a crash")
        await running.wait_until(lambda: running.workers[0].restarts == 1 and running.pids, "it is back")

    run(config(workers=1), scenario)


def test_crash_loop_ends_in_errored_and_a_reload_tries_again() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.app.start(ignore_progress, wait=False)
        await running.wait_until(lambda: running.statuses == ["errored"], "it is given up")
        assert running.app.status().status == "errored"
        assert running.events("worker_crashed") == 3
        with pytest.raises(StartFailed):
            await running.app.reload(ignore_progress)
        assert running.statuses == ["errored"]

    # On a busy machine they may live for longer than a second.
    run(config("dies_after_ready:app", workers=1, max_restarts=3, min_uptime=60.0), scenario)


def test_children_of_a_crashed_worker_die_with_it() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        child = (await running.get()).json()["child"]
        os.kill(running.pids[0], signal.SIGKILL)
        await running.wait_until(lambda: not processes.is_running(child), "its child is killed")

    run(config("forks:app", workers=1), scenario)


def test_crash_is_told_as_it_was_though_a_daemon_of_the_app_holds_its_output() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        daemon = (await running.get("/daemon")).json()["child"]
        os.kill(running.pids[0], signal.SIGKILL)
        await running.wait_until(lambda: running.events("worker_crashed") == 1, "its death is noticed")
        assert "killed by SIGKILL: not by fastlb" in running.log()
        assert running.events("worker_killed") == 0, "there was nobody left to kill"
        await running.wait_online(1)
        assert not processes.is_running(daemon), "it was a stray"

    run(config("forks:app", workers=1), scenario)


def test_forced_stop_does_not_wait_for_a_stuck_dispatcher() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        os.kill(running.dispatcher_pid, signal.SIGSTOP)
        stopping = asyncio.create_task(running.app.stop())
        await running.wait_until(lambda: running.app.status().status == "stopping", "it is on its way")
        await running.app.stop(force=True)
        await stopping
        assert running.events("dispatcher_hung") == 0, "it was ended before it was given up"

    run(config(workers=1), scenario)


def test_start_without_a_free_slot_is_refused_and_leaves_no_process() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        for _ in range(PAGE_SLOTS - 1):
            running.app._keeper.slots.take()
        before = processes.children(os.getpid())
        with pytest.raises(StartFailed, match="draining"):
            await running.app.reload(ignore_progress)
        assert processes.children(os.getpid()) == before
        assert running.statuses == ["online"]

    run(config(workers=1), scenario)


@pytest.mark.parametrize("path", ["/block?60", "stopped"])
def test_hung_worker_is_killed_and_replaced(path: str) -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        (pid,) = running.pids
        with Connection(running.address) as client:
            if path == "stopped":
                os.kill(pid, signal.SIGSTOP)
            else:
                client.send(path)
            await running.wait_until(lambda: running.pids not in ([], [pid]), "another process is online")
        assert running.events("worker_hung") >= 1, "on a busy machine another one may be late as well"
        if path != "stopped":
            assert "asgi_probe.py" in running.error_log(), "its stack is in the log"

    run(config(workers=1, hang_timeout=1.0), scenario)


def test_worker_with_a_request_that_is_too_old_is_killed() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        (pid,) = running.pids
        with Connection(running.address) as client:
            client.send("/sleep?60")
            await running.wait_until(lambda: running.pids not in ([], [pid]), "another process is online")
        assert "request_timeout" in running.log()

    run(config(workers=1, request_timeout=0.5), scenario)


def test_stop_lets_a_running_request_finish(tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def scenario(running: RunningApp) -> None:
        await running.start()
        with Connection(running.address) as client:
            client.send(f"/until?{gate}")
            await running.wait_until(lambda: running.workers[0].requests == 1, "the request runs")
            stopping = asyncio.create_task(running.app.stop())
            await running.wait_until(lambda: running.statuses == ["draining"], "it drains")
            gate.touch()
            response = await asyncio.to_thread(client.receive)
            assert response.status == 200
            await stopping
        assert processes.children(os.getpid()) == []

    run(config(workers=1), scenario)


def test_stop_ends_with_sigkill_when_nothing_else_helps() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        with Connection(running.address) as client:
            client.send("/forever")
            await running.wait_until(lambda: running.workers[0].requests == 1, "the request runs")
            await running.app.stop()
        assert running.events("worker_killed") == 1

    run(config("ignores_term:app", workers=1, kill_timeout=0.2), scenario)


def test_second_stop_with_force_does_not_wait() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        with Connection(running.address) as client:
            client.send("/sleep?60")
            await running.wait_until(lambda: running.workers[0].requests == 1, "the request runs")
            stopping = asyncio.create_task(running.app.stop())
            await running.wait_until(lambda: running.statuses == ["draining"], "it drains")
            async with asyncio.timeout(scaled(5)):
                await running.app.stop(force=True)
                await stopping

    run(config(workers=1, kill_timeout=60.0), scenario)


def test_new_clients_are_refused_while_the_app_drains() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        with Connection(running.address) as client:
            client.send("/sleep?60")
            await running.wait_until(lambda: running.workers[0].requests == 1, "the request runs")
            stopping = asyncio.create_task(running.app.stop())
            await running.wait_until(lambda: running.statuses == ["draining"], "it drains")
            with pytest.raises(ConnectionRefusedError):
                await running.get()
            await running.app.stop(force=True)
            await stopping

    run(config(workers=1, kill_timeout=60.0), scenario)


def test_stop_wins_over_an_operation_under_way() -> None:
    async def scenario(running: RunningApp) -> None:
        starting = asyncio.create_task(running.start())
        await running.wait_until(lambda: running.statuses == ["starting"], "the worker starts")
        reloading = asyncio.create_task(running.app.reload(ignore_progress))
        await running.wait_until(lambda: len(running.app.status().operations) == 2, "the reload waits")
        await running.app.stop()
        with pytest.raises(FastlbError, match="cancelled"):
            await reloading
        with pytest.raises(FastlbError, match="cancelled"):
            await starting
        assert processes.children(os.getpid()) == []
        with pytest.raises(BusyError, match="stop"):
            await running.app.restart(ignore_progress)

    run(config("never_ready:app", workers=1), scenario)


def test_restart_drains_and_starts_anew() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        before = running.pids
        await running.app.restart(ignore_progress)
        assert running.statuses == ["online", "online"]
        assert not set(before) & set(running.pids)

    run(config(), scenario)


def test_worker_that_closes_everything_is_replaced() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        (pid,) = running.pids
        with Connection(running.address) as client:
            client.send("/close-all")
            await running.wait_until(lambda: running.pids not in ([], [pid]), "another process is online")

        assert running.events("worker_hung") == 0, "it is noticed by its channel, at once"

    run(config("closes_everything:app", workers=1), scenario)


def test_worker_that_closes_its_lifecycle_channel_is_replaced_at_once() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        (pid,) = running.pids
        with Connection(running.address) as client:
            client.send("/close-lifecycle")
            await running.wait_until(lambda: running.pids not in ([], [pid]), "another process is online")
        assert running.events("worker_hung") == 0

    run(config("closes_lifecycle:app", workers=1), scenario)


def test_same_worker_ids_are_used_again() -> None:
    def ids(workers: list[WorkerEntry]) -> list[int]:
        return [worker.id for worker in workers]

    async def scenario(running: RunningApp) -> None:
        await running.start()
        await running.app.scale(4, ignore_progress)
        assert ids(running.workers) == [0, 1, 2, 3]
        await running.app.scale(1, ignore_progress)
        await running.wait_online(1)
        assert ids(running.workers) == [0]
        await running.app.scale(2, ignore_progress)
        assert ids(running.workers) == [0, 1]

    run(config(), scenario)
