"""A kind of workers that fastlb does not have lives by the same rules, with nothing but a runtime and traits."""

import asyncio
import os
import signal

import msgspec
import pytest
from fastlb.supervisor.errors import StartFailed, UsageError
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.settings.declared import check_config
from fastlb.supervisor.settings.traits import Replacing

from tests.support import processes
from tests.support.program_kind import program_traits
from tests.support.running_app import RunningApp, ignore_progress, run
from tests.support.waiting import scaled

SLEEP = "sleep 1000"


def config(target: str = SLEEP, workers: int = 2) -> AppConfig:
    return AppConfig(target=target, name="app", workers=workers, settle=0.2, restart_delay=0.01)


def test_programs_run_without_a_dispatcher_and_are_restarted() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        before = running.pids
        assert sorted(before) == sorted(processes.children(os.getpid())), "no process but the workers"
        details = running.app.details()
        assert (details.mode, details.balance, details.dispatcher) == ("fork", "", {})
        assert [worker.requests for worker in details.workers] == [None, None]
        os.kill(before[0], signal.SIGKILL)
        await running.wait_until(lambda: running.events("worker_crashed") == 1, "the crash is seen")
        await running.wait_online(2)
        assert running.pids[1] == before[1]

    run(config(), scenario, program_traits("new-first"))


@pytest.mark.parametrize("replacing", ["new-first", "old-first"])
def test_programs_are_reloaded_scaled_and_restarted(replacing: Replacing) -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        before, most = running.pids, 0

        def count(_: object) -> None:
            nonlocal most
            most = max(most, len(processes.children(os.getpid())))

        await running.app.reload(count)
        await running.wait_online(2)
        assert not set(before) & set(running.pids)
        if replacing == "old-first":
            assert most <= 2, "never two of an id"
        await running.app.scale(3, ignore_progress)
        await running.wait_online(3)
        await running.app.scale(1, ignore_progress)
        await running.wait_online(1)
        await running.app.restart(ignore_progress)
        assert [worker.generation for worker in running.workers] == [3]

    run(config(), scenario, program_traits(replacing))


def test_program_that_ends_at_once_has_not_started() -> None:
    async def scenario(running: RunningApp) -> None:
        with pytest.raises(StartFailed, match="exited with code 3"):
            await running.start()

    run(msgspec.structs.replace(config("sh -c 'exit 3'"), settle=20.0), scenario, program_traits("new-first"))


def test_program_that_ignores_its_signal_is_killed() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        await asyncio.wait_for(running.app.stop(), scaled(30))
        assert processes.children(os.getpid()) == []

    stubborn = msgspec.structs.replace(config("sh -c 'trap : TERM; while :; do sleep 0.1; done'"), kill_timeout=0.3)
    run(stubborn, scenario, program_traits("old-first"))


def test_settings_without_meaning_are_refused() -> None:
    wrong = msgspec.structs.replace(config("server:app"), balance="ip-hash")
    with pytest.raises(UsageError, match="--balance: this has no meaning for server:app"):
        check_config(wrong, program_traits("old-first"))
