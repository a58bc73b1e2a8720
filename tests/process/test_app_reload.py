"""An App with real processes: reload, scale, restart, and the dispatcher's death meanwhile."""

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from fastlb.supervisor.control.progress import Progress
from fastlb.supervisor.errors import FastlbError, StartFailed, UsageError

from tests.support import processes
from tests.support.client import Connection
from tests.support.ports import free_port
from tests.support.running_app import RunningApp, config, ignore_progress, run
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
    async def scenario(running: RunningApp) -> None:
        await running.start()
        before, told = running.pids, []
        await running.app.reload(lambda progress: told.append(progress.admitted))
        await running.wait_online(2)
        assert not set(before) & set(running.pids)
        assert [worker.generation for worker in running.workers] == [2, 2]
        assert told[-1] == 2

    run(config(), scenario)


def is_refused(address: tuple[str, int]) -> bool:
    """Whether nobody listens there."""
    try:
        Connection(address).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("parallel", [1, 3])
def test_reload_lets_old_workers_finish_in_the_background(parallel: int, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def scenario(running: RunningApp) -> None:
        await running.start()
        with Connection(running.address) as client:
            client.send(f"/until?{gate}")
            await running.wait_until(lambda: any(w.requests for w in running.workers), "the request runs")
            await running.app.reload(ignore_progress, parallel)
            assert "draining" in running.statuses, "the reload does not wait for it"
            gate.touch()
            response = await asyncio.to_thread(client.receive)
            assert response.status == 200
        await running.wait_online(3)

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
    async def scenario(running: RunningApp) -> None:
        await running.start()
        before = running.pids
        release(broken)
        with pytest.raises(StartFailed) as failure:
            await running.app.reload(ignore_progress)
        assert "nothing was changed" in failure.value.message
        assert words in failure.value.message + failure.value.details
        assert running.pids == before
        assert running.statuses == ["online", "online"]
        assert running.events("worker_draining") == 0

    # Only an app that never is ready is waited for so short a time: the others have to start on a busy machine too.
    run(config("release:app", listen_timeout=scaled(1.5 if broken == "never_ready" else 20)), scenario)


def test_later_replacement_that_fails_leaves_both_generations(release: Release) -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        before = running.pids

        def break_after_the_first(replaced: object) -> None:
            if running.events("worker_draining"):
                release("dies_at_import")

        with pytest.raises(StartFailed, match="1 of 3 workers were replaced"):
            await running.app.reload(break_after_the_first)
        await running.wait_online(3)
        assert [worker.generation for worker in running.workers] == [2, 1, 1]
        assert running.pids[1:] == before[1:]

    run(config("release:app", workers=3), scenario)


def test_second_operation_waits_for_the_first() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        reloading = asyncio.create_task(running.app.reload(ignore_progress))
        await running.wait_until(lambda: running.app.status().status == "reloading", "it reloads")
        told: list[str] = []
        scaled = await running.app.scale(1, lambda step: told.append(step.text), is_change=True)
        assert told[0] == "waiting for the reload that is under way"
        assert reloading.done()
        assert scaled == "scaled from 2 to 3 workers"

    run(config(), scenario)


def test_reload_goes_on_when_its_caller_hangs_up() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        before = running.pids
        reloading = asyncio.create_task(running.app.reload(ignore_progress))
        await running.wait_until(lambda: running.app.status().status == "reloading", "it reloads")
        reloading.cancel()
        await running.wait_until(lambda: running.events("reload_done") == 1, "it is done all the same")
        assert not set(before) & set(running.pids)

    run(config(), scenario)


def test_stop_cancels_a_reload(release: Release) -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        release("never_ready")
        reloading = asyncio.create_task(running.app.reload(ignore_progress))
        await running.wait_until(lambda: "starting" in running.statuses, "the replacement starts")
        await running.app.stop()
        with pytest.raises(FastlbError, match="cancelled"):
            await reloading
        assert processes.children(os.getpid()) == []

    run(config("release:app"), scenario)


def test_failed_scale_up_leaves_the_others_untouched(release: Release) -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        before = running.pids
        release("dies_at_import")
        with pytest.raises(StartFailed):
            await running.app.scale(4, ignore_progress)
        assert running.pids == before
        assert running.statuses == ["online", "online"]
        assert running.app.target_workers == 2

    run(config("release:app"), scenario)


def test_scale_down_finishes_requests_of_the_drained(tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def scenario(running: RunningApp) -> None:
        await running.start()
        clients = [Connection(running.address) for _ in range(2)]
        for client in clients:
            client.send(f"/until?{gate}")
        await running.wait_until(lambda: all(w.requests for w in running.workers), "both are at work")
        await running.app.scale(1, ignore_progress)
        assert "draining" in running.statuses
        gate.touch()
        for client in clients:
            assert (await asyncio.to_thread(client.receive)).status == 200
            client.close()
        await running.wait_online(1)

    run(config(handover_timeout=10.0), scenario)  # on a busy machine one worker would take both


@pytest.mark.parametrize("workers", [0, -1, 1_000_000])
def test_impossible_number_of_workers_is_refused(workers: int) -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        with pytest.raises(UsageError):
            await running.app.scale(workers, ignore_progress)
        assert running.statuses == ["online"]

    run(config(workers=1), scenario)


@pytest.mark.parametrize("target", ["asgi_probe:app", "wsgi_probe:app"])
def test_restart_does_not_wait_for_old_workers_to_finish(target: str) -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        before = running.pids
        with Connection(running.address) as kept:
            kept.send()
            await asyncio.to_thread(kept.receive)
            await asyncio.wait_for(running.app.restart(ignore_progress), scaled(20))
            assert "draining" in running.statuses
            assert len(running.pids) == 2
            assert not set(before) & set(running.pids)
            assert (await running.get()).status == 200
            kept.send()
            assert (await asyncio.to_thread(kept.receive)).status == 200, "it is quietly drained"

    run(config(target, timeout_keep_alive=600.0, kill_timeout=600.0), scenario)


def test_restart_waits_for_what_an_earlier_one_left_while_the_present_workers_serve() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        with Connection(running.address) as kept:
            kept.send()
            await asyncio.to_thread(kept.receive)
            await asyncio.wait_for(running.app.restart(ignore_progress), scaled(20))
            present = running.pids
            restarting = asyncio.create_task(running.app.restart(ignore_progress))
            await running.wait_until(lambda: running.app.status().status == "starting", "the restart has begun")
            assert (await running.get()).json()["pid"] in present
            assert running.pids == present
        await asyncio.wait_for(restarting, scaled(20))
        assert len(running.pids) == 2
        assert not set(present) & set(running.pids)
        await running.wait_online(2)

    run(config(timeout_keep_alive=600.0, kill_timeout=600.0), scenario)


def test_failed_restart_can_be_tried_again(release: Release) -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        release("dies_at_import")
        with pytest.raises(StartFailed):
            await running.app.restart(ignore_progress)
        assert running.app.status().status == "errored"
        await running.wait_until(lambda: is_refused(running.address), "clients are refused")
        release("asgi_probe")
        await running.app.restart(ignore_progress)
        assert (await running.get()).status == 200

    run(config("release:app", bind=(f"127.0.0.1:{free_port()}",)), scenario)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_dead_dispatcher_is_replaced_and_workers_go_on(number: signal.Signals) -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        before, dispatcher = running.pids, running.dispatcher_pid
        await running.get()
        for _ in range(3):
            os.kill(running.dispatcher_pid, number)
            assert (await running.get()).status == 200, "the connection waits for the successor"
        assert running.pids == before
        assert running.dispatcher_pid != dispatcher
        assert running.app.details().dispatcher["accepted"] in range(1, 5)

    run(config(), scenario)


def test_draining_worker_is_drained_by_the_successor_too() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        os.kill(running.dispatcher_pid, signal.SIGSTOP)
        scaling = asyncio.create_task(running.app.scale(1, ignore_progress))
        await running.wait_until(lambda: "draining" in running.statuses, "it drains")
        os.kill(running.dispatcher_pid, signal.SIGKILL)
        await scaling
        await running.wait_online(1)

    run(config(), scenario)


def has_crashed(running: RunningApp, times: int) -> bool:
    return running.events("worker_crashed") == times


def test_many_restarts_and_reloads_leave_descriptors_as_they_were() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        await running.app.reload(ignore_progress)
        await running.wait_online(2)
        before = processes.fd_count(os.getpid())
        for crashes in range(1, 6):
            await running.app.reload(ignore_progress, parallel=2)
            await running.wait_online(2)
            os.kill(running.pids[0], signal.SIGKILL)
            await running.wait_until(partial(has_crashed, running, crashes), "the crash is seen")
            await running.wait_online(2)
            os.kill(running.dispatcher_pid, signal.SIGKILL)
            await running.get()
        await running.wait_until(lambda: processes.fd_count(os.getpid()) == before, "what was opened is closed")
        assert processes.thread_count(os.getpid()) < 20

    run(config(settle=0.0), scenario)


def test_scaling_down_keeps_those_that_serve(release: Release) -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        (victim, survivor) = running.pids
        release("dies_at_import")
        os.kill(victim, signal.SIGKILL)
        await running.wait_until(lambda: running.statuses == ["errored", "online"], "the first is given up")
        await running.app.scale(1, ignore_progress)
        await running.wait_online(1)
        assert running.pids == [survivor]
        assert (await running.get()).status == 200

    run(config("release:app", max_restarts=1), scenario)


def test_scaling_up_beside_a_worker_that_was_given_up_says_so(release: Release) -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        told: list[Progress] = []
        release("dies_at_import")
        os.kill(running.pids[0], signal.SIGKILL)
        await running.wait_until(lambda: running.statuses == ["errored", "online"], "the first is given up")
        release("asgi_probe")
        with pytest.raises(FastlbError, match=r"scaled from 2 to 3 workers, but 1 of them .*\(worker 0\)"):
            await running.app.scale(3, told.append)
        assert running.statuses == ["errored", "online", "online"]
        assert (told[-1].text, told[-1].admitted) == ("2 of 3 workers admitted", 2)
        assert running.app.target_workers == 3
        await running.app.reload(ignore_progress)
        await running.wait_online(3)

    run(config("release:app", max_restarts=1), scenario)
