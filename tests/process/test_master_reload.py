"""A Master with real processes: reload, scale, restart, and the dispatcher's death meanwhile."""

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from fastlb.supervisor.errors import BusyError, FastlbError, StartFailed, UsageError

from tests.support import processes
from tests.support.client import Connection
from tests.support.running_master import RunningMaster, config, ignore_progress, run
from tests.support.waiting import scaled

Release = Callable[[str], None]


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """Choose the module that workers started from now on run."""
    path = tmp_path / "release"
    monkeypatch.setenv("FASTLB_TEST_RELEASE", str(path))

    def choose(module: str) -> None:
        path.write_text(module)

    choose("asgi_probe")
    return choose


def test_reload_replaces_every_worker_and_tells_how_far_it_is() -> None:
    async def scenario(app: RunningMaster) -> None:
        await app.start()
        before, told = app.pids, []
        await app.master.reload(lambda progress: told.append(progress.admitted))
        await app.wait_online(2)
        assert not set(before) & set(app.pids)
        assert [worker.generation for worker in app.workers] == [2, 2]
        assert told[-1] == 2

    run(config(), scenario)


@pytest.mark.parametrize("parallel", [1, 3])
def test_reload_lets_old_workers_finish_in_the_background(parallel: int, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def scenario(app: RunningMaster) -> None:
        await app.start()
        with Connection(app.address) as client:
            client.send(f"/until?{gate}")
            await app.wait_until(lambda: any(w.requests for w in app.workers), "the request runs")
            await app.master.reload(ignore_progress, parallel)
            assert "draining" in app.statuses, "the reload does not wait for it"
            gate.touch()
            response = await asyncio.to_thread(client.receive)
            assert response.status == 200
        await app.wait_online(3)

    run(config(workers=3), scenario)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("dies_at_import", "this app cannot be imported"),
        ("exits_at_import", "exit"),
        ("never_ready", "--listen-timeout"),
        ("dies_after_ready", "exited with code 7"),
    ],
)
def test_reload_to_broken_code_changes_nothing(release: Release, broken: str, words: str) -> None:
    async def scenario(app: RunningMaster) -> None:
        await app.start()
        before = app.pids
        release(broken)
        with pytest.raises(StartFailed) as failure:
            await app.master.reload(ignore_progress)
        assert "nothing was changed" in failure.value.message
        assert words in failure.value.message + failure.value.details
        assert app.pids == before
        assert app.statuses == ["online", "online"]
        assert app.events("worker_draining") == 0

    # Only an app that never is ready is waited for so short a time: the others have to start on a busy machine too.
    run(config("release:app", listen_timeout=scaled(1.5 if broken == "never_ready" else 20)), scenario)


def test_later_replacement_that_fails_leaves_both_generations(release: Release) -> None:
    async def scenario(app: RunningMaster) -> None:
        await app.start()
        before = app.pids

        def break_after_the_first(replaced: object) -> None:
            if app.events("worker_draining"):
                release("dies_at_import")

        with pytest.raises(StartFailed, match="1 of 3 workers were replaced"):
            await app.master.reload(break_after_the_first)
        await app.wait_online(3)
        assert [worker.generation for worker in app.workers] == [2, 1, 1]
        assert app.pids[1:] == before[1:]

    run(config("release:app", workers=3), scenario)


def test_second_operation_is_refused_by_name() -> None:
    async def scenario(app: RunningMaster) -> None:
        await app.start()
        reloading = asyncio.create_task(app.master.reload(ignore_progress))
        await app.wait_until(lambda: app.master.status().status == "reloading", "it reloads")
        with pytest.raises(BusyError, match="reload"):
            await app.master.scale(3, ignore_progress)
        await reloading
        assert app.master.target_workers == 2

    run(config(), scenario)


def test_reload_goes_on_when_its_caller_hangs_up() -> None:
    async def scenario(app: RunningMaster) -> None:
        await app.start()
        before = app.pids
        reloading = asyncio.create_task(app.master.reload(ignore_progress))
        await app.wait_until(lambda: app.master.status().status == "reloading", "it reloads")
        reloading.cancel()
        await app.wait_until(lambda: app.events("reload_done") == 1, "it is done all the same")
        assert not set(before) & set(app.pids)

    run(config(), scenario)


def test_stop_cancels_a_reload(release: Release) -> None:
    async def scenario(app: RunningMaster) -> None:
        await app.start()
        release("never_ready")
        reloading = asyncio.create_task(app.master.reload(ignore_progress))
        await app.wait_until(lambda: "starting" in app.statuses, "the replacement starts")
        await app.master.stop()
        with pytest.raises(FastlbError, match="cancelled"):
            await reloading
        assert processes.children(os.getpid()) == []

    run(config("release:app"), scenario)


def test_failed_scale_up_leaves_the_others_untouched(release: Release) -> None:
    async def scenario(app: RunningMaster) -> None:
        await app.start()
        before = app.pids
        release("dies_at_import")
        with pytest.raises(StartFailed):
            await app.master.scale(4, ignore_progress)
        assert app.pids == before
        assert app.statuses == ["online", "online"]
        assert app.master.target_workers == 2

    run(config("release:app"), scenario)


def test_scale_down_finishes_requests_of_the_drained(tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def scenario(app: RunningMaster) -> None:
        await app.start()
        clients = [Connection(app.address) for _ in range(2)]
        for client in clients:
            client.send(f"/until?{gate}")
        await app.wait_until(lambda: all(w.requests for w in app.workers), "both are at work")
        await app.master.scale(1, ignore_progress)
        assert "draining" in app.statuses
        gate.touch()
        for client in clients:
            assert (await asyncio.to_thread(client.receive)).status == 200
            client.close()
        await app.wait_online(1)

    run(config(), scenario)


@pytest.mark.parametrize("workers", [0, -1, 1_000_000])
def test_impossible_number_of_workers_is_refused(workers: int) -> None:
    async def scenario(app: RunningMaster) -> None:
        await app.start()
        with pytest.raises(UsageError):
            await app.master.scale(workers, ignore_progress)
        assert app.statuses == ["online"]

    run(config(workers=1), scenario)


def test_failed_restart_can_be_tried_again(release: Release) -> None:
    async def scenario(app: RunningMaster) -> None:
        await app.start()
        release("dies_at_import")
        with pytest.raises(StartFailed):
            await app.master.restart(ignore_progress)
        assert app.master.status().status == "errored"
        with Connection(app.address, timeout=10) as client:
            client.send()
            release("asgi_probe")
            await app.master.restart(ignore_progress)
            response = await asyncio.to_thread(client.receive)
        assert response.status == 200, "it waited in the backlog"

    run(config("release:app"), scenario)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_dead_dispatcher_is_replaced_and_workers_go_on(number: signal.Signals) -> None:
    async def scenario(app: RunningMaster) -> None:
        await app.start()
        before, dispatcher = app.pids, app.dispatcher_pid
        await app.get()
        for _ in range(3):
            os.kill(app.dispatcher_pid, number)
            assert (await app.get()).status == 200, "the connection waits for the successor"
        assert app.pids == before
        assert app.dispatcher_pid != dispatcher
        assert app.master.details().dispatcher["accepted"] in range(1, 5)

    run(config(), scenario)


def test_draining_worker_is_drained_by_the_successor_too() -> None:
    async def scenario(app: RunningMaster) -> None:
        await app.start()
        os.kill(app.dispatcher_pid, signal.SIGSTOP)
        scaling = asyncio.create_task(app.master.scale(1, ignore_progress))
        await app.wait_until(lambda: "draining" in app.statuses, "it drains")
        os.kill(app.dispatcher_pid, signal.SIGKILL)
        await scaling
        await app.wait_online(1)

    run(config(), scenario)


def has_crashed(app: RunningMaster, times: int) -> bool:
    return app.events("worker_crashed") == times


def test_many_restarts_and_reloads_leave_descriptors_as_they_were() -> None:
    async def scenario(app: RunningMaster) -> None:
        await app.start()
        await app.master.reload(ignore_progress)
        await app.wait_online(2)
        before = processes.fd_count(os.getpid())
        for crashes in range(1, 6):
            await app.master.reload(ignore_progress, parallel=2)
            await app.wait_online(2)
            os.kill(app.pids[0], signal.SIGKILL)
            await app.wait_until(partial(has_crashed, app, crashes), "the crash is seen")
            await app.wait_online(2)
            os.kill(app.dispatcher_pid, signal.SIGKILL)
            await app.get()
        assert processes.fd_count(os.getpid()) == before
        assert processes.thread_count(os.getpid()) < 20

    run(config(reload_settle=0.0), scenario)


def test_scaling_down_keeps_those_that_serve(release: Release) -> None:
    async def scenario(app: RunningMaster) -> None:
        await app.start()
        (victim, survivor) = app.pids
        release("dies_at_import")
        os.kill(victim, signal.SIGKILL)
        await app.wait_until(lambda: app.statuses == ["errored", "online"], "the first is given up")
        await app.master.scale(1, ignore_progress)
        await app.wait_online(1)
        assert app.pids == [survivor]
        assert (await app.get()).status == 200

    run(config("release:app", max_restarts=1), scenario)
