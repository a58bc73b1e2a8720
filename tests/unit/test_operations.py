"""One operation at a time; who waits, who is refused, and what is done only once."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from fastlb.supervisor.errors import BusyError, FastlbError, UsageError
from fastlb.supervisor.operations import MOST_WAITING, PERSON, Operation, OperationRequest, Operations
from fastlb.supervisor.output.event_log import EventLog

from tests.support.waiting import let_run_until

RELOAD = OperationRequest(Operation.RELOAD, "signal SIGHUP")
BY_PERSON = OperationRequest(Operation.RELOAD, PERSON)
SCALE = OperationRequest(Operation.SCALE, PERSON, is_particular=True)
RESTART = OperationRequest(Operation.RESTART, PERSON)
ONE_MORE = OperationRequest(Operation.SCALE, "signal SIGTTIN", change=1)


class Bench:
    """Operations whose work goes on until it is allowed to end; `done`: what was carried out."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.operations = Operations(EventLog(log))
        self.may_end = asyncio.Event()
        self.done: list[str] = []

    def work(self, name: str, error: FastlbError | None = None) -> Callable[[], Coroutine[Any, Any, str]]:
        async def carry_out() -> str:
            await self.may_end.wait()
            self.done.append(name)
            if error:
                raise error
            return name

        return carry_out

    async def settle(self) -> None:
        """Let everything run to its end."""
        self.may_end.set()
        await let_run_until(lambda: self.operations.current in (None, Operation.STOP), "everything has ended")

    def events(self) -> list[str]:
        """Names in the log, with who asked."""
        lines = [line.split(" ", 3)[2:] for line in self.log.read_text().splitlines()]
        return [" ".join(line) for line in lines]


Scenario = Callable[[Bench], Awaitable[None]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Scenario], list[str]]:
    """Run a scenario; return what is in the log then."""

    def run_scenario(scenario: Scenario) -> list[str]:
        async def run_it() -> list[str]:
            bench = Bench(tmp_path / "log")
            await scenario(bench)
            return bench.events()

        return asyncio.run(run_it())

    return run_scenario


def test_what_is_asked_while_another_runs_is_done_after_it(run: Callable[[Scenario], list[str]]) -> None:
    async def scenario(bench: Bench) -> None:
        running = asyncio.create_task(bench.operations.run(SCALE, bench.work("scale")))
        await let_run_until(lambda: bench.operations.current is Operation.SCALE, "it runs")
        bench.operations.ask(RELOAD, bench.work("reload"))
        assert bench.operations.waiting == [RELOAD]
        assert bench.operations.current is Operation.SCALE
        await bench.settle()
        assert await running == "scale"
        assert bench.done == ["scale", "reload"]

    events = run(scenario)
    assert 'reload_waits by="signal SIGHUP" behind=scale' in events
    assert events.index("scale_done") < events.index('reload_begun by="signal SIGHUP"')
    assert events[-1] == 'reload_done by="signal SIGHUP"'


def test_same_request_waits_once_and_counts_are_kept(run: Callable[[Scenario], list[str]]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.operations.ask(RELOAD, bench.work("first"))
        bench.operations.ask(RELOAD, bench.work("second"))
        bench.operations.ask(OperationRequest(Operation.RELOAD, "cron"), bench.work("third"))
        bench.operations.ask(ONE_MORE, bench.work("one more"))
        bench.operations.ask(ONE_MORE, bench.work("and another"))
        await bench.settle()
        assert bench.done == ["first", "second", "one more", "and another"], "what runs already may be too late"

    assert 'reload_dropped by=cron reason="another reload waits already"' in run(scenario)


def test_queue_is_bounded(run: Callable[[Scenario], list[str]]) -> None:
    async def scenario(bench: Bench) -> None:
        for _ in range(MOST_WAITING + 3):
            bench.operations.ask(ONE_MORE, bench.work("one more"))
        await bench.settle()
        assert len(bench.done) == MOST_WAITING + 1

    dropped = [event for event in run(scenario) if event.startswith("scale_dropped")]
    assert dropped == [f'scale_dropped by="signal SIGTTIN" reason="{MOST_WAITING} operations wait already"'] * 2


def test_person_goes_before_what_nobody_waits_for(run: Callable[[Scenario], list[str]]) -> None:
    async def scenario(bench: Bench) -> None:
        told: list[str] = []
        bench.operations.ask(OperationRequest(Operation.REPLACE, "limit"), bench.work("replace"))
        bench.operations.ask(ONE_MORE, bench.work("one more"))
        first = asyncio.create_task(bench.operations.run(SCALE, bench.work("first"), told.append))
        second = asyncio.create_task(bench.operations.run(RESTART, bench.work("second"), told.append))
        await let_run_until(lambda: len(told) == 2, "both are told that they wait")
        assert told == ["waiting for the replace that is under way"] * 2
        shown = [(entry.operation, entry.by, entry.state) for entry in bench.operations.entries()]
        assert shown == [
            ("replace", "limit", "runs"),
            ("scale", "person", "waits"),
            ("restart", "person", "waits"),
            ("scale", "signal SIGTTIN", "waits"),
        ]
        await bench.settle()
        assert (await first, await second) == ("first", "second")
        assert bench.done == ["replace", "first", "second", "one more"]
        assert bench.operations.entries() == []

    assert "scale_waits by=person behind=replace" in run(scenario)


def test_persons_who_ask_for_the_same_share_it(run: Callable[[Scenario], list[str]]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.operations.ask(ONE_MORE, bench.work("runs"))
        bench.operations.ask(ONE_MORE, bench.work("one more"))
        bench.operations.ask(RELOAD, bench.work("by signal"))
        persons = [asyncio.create_task(bench.operations.run(BY_PERSON, bench.work(f"{name}"))) for name in (1, 2)]
        await let_run_until(lambda: BY_PERSON in bench.operations.waiting, "they wait")
        bench.operations.ask(RELOAD, bench.work("again by signal"))
        particular = OperationRequest(Operation.RELOAD, PERSON, is_particular=True)
        apart = asyncio.create_task(bench.operations.run(particular, bench.work("apart")))
        await let_run_until(lambda: particular in bench.operations.waiting, "it waits")
        await bench.settle()
        assert [await person for person in (*persons, apart)] == ["1", "1", "apart"]
        assert bench.done == ["runs", "1", "apart", "one more"]

    run(scenario)


def test_person_is_told_of_a_failure_and_of_too_many(run: Callable[[Scenario], list[str]]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.operations.ask(ONE_MORE, bench.work("runs"))
        failing = asyncio.create_task(bench.operations.run(RESTART, bench.work("restart", FastlbError("no luck"))))
        await let_run_until(lambda: RESTART in bench.operations.waiting, "it waits")
        for _ in range(MOST_WAITING - 1):
            bench.operations.ask(ONE_MORE, bench.work("one more"))
        with pytest.raises(BusyError, match=f"cannot scale: {MOST_WAITING} operations wait already"):
            await bench.operations.run(SCALE, bench.work("scale"))
        await bench.settle()
        with pytest.raises(FastlbError, match="no luck"):
            await failing

    run(scenario)


def test_person_who_hangs_up_while_he_waits_loses_nothing(run: Callable[[Scenario], list[str]]) -> None:
    async def scenario(bench: Bench) -> None:
        bench.operations.ask(ONE_MORE, bench.work("runs"))
        failing = bench.work("reload", FastlbError("nobody hears"))
        waiting = asyncio.create_task(bench.operations.run(BY_PERSON, failing))
        await let_run_until(lambda: BY_PERSON in bench.operations.waiting, "the person waits")
        waiting.cancel()
        await bench.settle()
        assert bench.done == ["runs", "reload"]

    run(scenario)


def test_stop_cancels_what_runs_and_what_waits(run: Callable[[Scenario], list[str]]) -> None:
    async def scenario(bench: Bench) -> None:
        running = asyncio.create_task(bench.operations.run(RESTART, bench.work("restart")))
        await let_run_until(lambda: bench.operations.current is Operation.RESTART, "it runs")
        bench.operations.ask(RELOAD, bench.work("reload"))
        waiting = asyncio.create_task(bench.operations.run(SCALE, bench.work("scale")))
        await let_run_until(lambda: SCALE in bench.operations.waiting, "it waits")
        bench.operations.close()
        await bench.operations.wait_until_idle()
        with pytest.raises(FastlbError, match="the scale was cancelled"):
            await waiting
        with pytest.raises(FastlbError, match="the restart was cancelled"):
            await running
        bench.operations.ask(RELOAD, bench.work("too late"))
        with pytest.raises(BusyError, match="a stop of this app"):
            await bench.operations.run(BY_PERSON, bench.work("too late"))
        await bench.settle()
        assert bench.done == []
        assert bench.operations.current is Operation.STOP

    dropped = 'reload_dropped by="signal SIGHUP" reason="the app is being stopped"'
    assert run(scenario).count(dropped) == 2


def test_failure_is_logged_with_who_asked_and_the_next_one_follows(run: Callable[[Scenario], list[str]]) -> None:
    async def scenario(bench: Bench) -> None:
        failure = FastlbError("worker 0 did not start", details="Traceback of it")
        bench.operations.ask(RELOAD, bench.work("reload", failure))
        bench.operations.ask(ONE_MORE, bench.work("scale", UsageError("too many")))
        await bench.settle()
        assert bench.done == ["reload", "scale"]
        assert bench.operations.failure == "reload: worker 0 did not start", "the scale was never tried"

    events = run(scenario)
    failed = 'reload_failed by="signal SIGHUP" reason="worker 0 did not start" details="Traceback of it"'
    assert failed in events
    assert 'scale_failed by="signal SIGTTIN" reason="too many"' in events


def test_operation_goes_on_when_its_caller_hangs_up(run: Callable[[Scenario], list[str]]) -> None:
    async def scenario(bench: Bench) -> None:
        running = asyncio.create_task(bench.operations.run(BY_PERSON, bench.work("reload")))
        await let_run_until(lambda: bench.operations.current is Operation.RELOAD, "it runs")
        running.cancel()
        await bench.settle()
        assert bench.done == ["reload"]

    run(scenario)
