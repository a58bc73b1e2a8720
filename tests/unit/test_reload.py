"""The reload as a transaction, against a crew that fails where the test says."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest
from fastlb.supervisor.errors import EXIT_USAGE, StartFailed
from fastlb.supervisor.workers.reload import ReloadRules, reload_workers
from hypothesis import given
from hypothesis import strategies as st

RULES = ReloadRules(settle=1.0, delay=0.0, parallel=1)


@dataclass
class ScriptedCrew:
    """Workers are names: "old3" is replaced by "new3". Keeps the invariants that no reload may break.

    Attributes:
        old: how many old workers serve at the beginning.
        fails_to_start, fails_to_settle, fails_to_admit: ids whose replacement does that.
    """

    old: int
    fails_to_start: set[int] = field(default_factory=set)
    fails_to_settle: set[int] = field(default_factory=set)
    fails_to_admit: set[int] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    serving: set[str] = field(default_factory=set)
    living: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.serving = {f"old{i}" for i in range(self.old)}
        self.living = set(self.serving)

    @property
    def workers(self) -> list[str]:
        return [f"old{i}" for i in range(self.old)]

    async def start_replacement(self, old: str) -> str:
        await asyncio.sleep(0)
        self.note(f"start {old[3:]}")
        if int(old[3:]) in self.fails_to_start:
            raise StartFailed(f"worker {old[3:]} did not start", details="Traceback of it")
        self.living.add(f"new{old[3:]}")
        return f"new{old[3:]}"

    async def watch_settle(self, new: str, seconds: float) -> None:
        self.note(f"settle {new[3:]}")
        assert seconds == RULES.settle
        await asyncio.sleep(0)
        if int(new[3:]) in self.fails_to_settle:
            self.living.discard(new)
            raise StartFailed(f"worker {new[3:]} died")

    async def admit(self, new: str) -> None:
        self.note(f"admit {new[3:]}")
        if int(new[3:]) in self.fails_to_admit:
            raise StartFailed(f"worker {new[3:]} died")
        self.serving.add(new)

    async def drain_until_out(self, old: str) -> None:
        self.note(f"drain {old[3:]}")
        assert f"new{old[3:]}" in self.serving, "an old worker goes only when its replacement serves"
        self.serving.discard(old)
        self.living.discard(old)
        await asyncio.sleep(0)

    async def drain_until_gone(self, workers: Iterable[str]) -> None:
        for worker in workers:
            self.log.append(f"end {worker[3:]}")
            self.serving.discard(worker)
            self.living.discard(worker)

    def drain_in_background(self, new: str) -> None:
        self.note(f"drop {new[3:]}")
        assert new not in self.serving
        self.living.discard(new)

    def note(self, what: str) -> None:
        self.log.append(what)
        assert len(self.serving) >= self.old, "never fewer workers than before"


def run(crew: ScriptedCrew, rules: ReloadRules = RULES) -> list[int]:
    """Reload the whole crew; return the counts that were told."""
    told: list[int] = []
    asyncio.run(reload_workers(crew.workers, crew, rules, told.append))
    return told


def test_all_workers_are_replaced_one_after_the_other() -> None:
    crew = ScriptedCrew(old=3)
    assert run(crew) == [1, 2, 3]
    assert crew.serving == {"new0", "new1", "new2"}
    assert crew.log == [
        *["start 0", "settle 0", "admit 0", "drain 0"],
        *["start 1", "admit 1", "drain 1"],
        *["start 2", "admit 2", "drain 2"],
    ]


@pytest.mark.parametrize("step", ["fails_to_start", "fails_to_settle", "fails_to_admit"])
def test_failure_of_the_first_changes_nothing(step: str) -> None:
    crew = ScriptedCrew(old=3)
    getattr(crew, step).add(0)
    with pytest.raises(StartFailed, match=r"^nothing was changed, the old workers go on: "):
        run(crew)
    assert crew.living == crew.serving == set(crew.workers)


def test_later_failure_stops_there_and_both_generations_go_on() -> None:
    crew = ScriptedCrew(old=4, fails_to_start={2})
    with pytest.raises(StartFailed, match=r"^2 of 4 workers were replaced, the other old ones go on: ") as failure:
        run(crew)
    assert failure.value.details == "Traceback of it"
    assert crew.serving == {"new0", "new1", "old2", "old3"}
    assert "start 3" not in crew.log


def test_parallel_reload_lets_the_others_of_a_batch_finish() -> None:
    crew = ScriptedCrew(old=4, fails_to_start={2})
    with pytest.raises(StartFailed, match="3 of 4"):
        run(crew, ReloadRules(settle=1.0, delay=0.0, parallel=3))
    assert crew.serving == {"new0", "new1", "old2", "new3"}


def test_parallel_reload_waits_for_the_others_of_a_batch_before_it_says_that_one_failed() -> None:
    """A replacement that is under way is never cut off, however long it takes."""
    failed = asyncio.Event()

    class SlowThird(ScriptedCrew):
        async def start_replacement(self, old: str) -> str:
            if old == "old3":
                await failed.wait()
                for _ in range(20):  # turns of the loop, in which the failure could be passed on
                    await asyncio.sleep(0)
            try:
                return await super().start_replacement(old)
            except StartFailed:
                failed.set()
                raise

    crew = SlowThird(old=4, fails_to_start={2})
    with pytest.raises(StartFailed, match=r"^3 of 4 workers were replaced"):
        run(crew, ReloadRules(settle=1.0, delay=0.0, parallel=3))
    assert crew.serving == {"new0", "new1", "old2", "new3"}


def test_parallel_reload_replaces_each_once_a_batch_after_the_other() -> None:
    crew = ScriptedCrew(old=6)
    assert run(crew, ReloadRules(settle=1.0, delay=0.0, parallel=2)) == [1, 2, 3, 4, 5, 6]
    started = [what for what in crew.log if what.startswith("start")]
    assert started == [f"start {number}" for number in range(6)]
    assert crew.log.index("start 3") > crew.log.index("drain 2")


def test_parallel_reload_proves_the_first_alone() -> None:
    crew = ScriptedCrew(old=4)
    run(crew, ReloadRules(settle=1.0, delay=0.0, parallel=4))
    assert crew.log[:4] == ["start 0", "settle 0", "admit 0", "drain 0"]


def test_exit_code_of_a_wrong_target_is_kept() -> None:
    class WrongTarget(ScriptedCrew):
        async def start_replacement(self, old: str) -> str:
            error = StartFailed("no module named ap")
            error.exit_code = EXIT_USAGE
            raise error

    with pytest.raises(StartFailed) as failure:
        run(WrongTarget(old=1))
    assert failure.value.exit_code == EXIT_USAGE


def test_cancelled_reload_lets_its_replacement_go() -> None:
    class NeverSettles(ScriptedCrew):
        async def watch_settle(self, new: str, seconds: float) -> None:
            reloading.cancel()
            await asyncio.Event().wait()

    crew = NeverSettles(old=2)
    reloading: asyncio.Task[None]

    async def scenario() -> None:
        nonlocal reloading
        reloading = asyncio.create_task(reload_workers(crew.workers, crew, RULES, lambda _: None))
        with pytest.raises(asyncio.CancelledError):
            await reloading

    asyncio.run(scenario())
    assert crew.living == crew.serving == set(crew.workers)


class OneOfEach(ScriptedCrew):
    """Two workers of an id never live at the same time."""

    def note(self, what: str) -> None:
        self.log.append(what)
        ids = [name[3:] for name in self.living]
        assert len(set(ids)) == len(ids)
        assert len(self.serving) >= self.old - 1, "one at a time is missing"


OLD_FIRST = replace(RULES, replacing="old-first")
OLD_FIRST_FAILED = r"^0 of 3 workers were replaced, and the last one had to go before it failed: "


def test_old_first_reload_ends_each_worker_before_its_replacement_starts() -> None:
    crew = OneOfEach(old=2)
    assert run(crew, OLD_FIRST) == [1, 2]
    assert crew.serving == {"new0", "new1"}
    assert crew.log == ["end 0", "start 0", "settle 0", "admit 0", "end 1", "start 1", "admit 1"]


@pytest.mark.parametrize("step", ["fails_to_start", "fails_to_settle", "fails_to_admit"])
def test_old_first_reload_that_fails_stops_there_and_says_that_one_is_missing(step: str) -> None:
    crew = OneOfEach(old=3)
    getattr(crew, step).add(0)
    with pytest.raises(StartFailed, match=OLD_FIRST_FAILED) as failure:
        run(crew, OLD_FIRST)
    assert "nothing was changed" not in failure.value.message
    assert crew.living == crew.serving == {"old1", "old2"}


@given(
    old=st.integers(1, 8),
    parallel=st.integers(1, 8),
    failing=st.lists(st.sets(st.integers(0, 7), max_size=3), min_size=3, max_size=3),
)
def test_whatever_fails_nobody_is_missing_and_nobody_is_left_over(
    old: int, parallel: int, failing: list[set[int]]
) -> None:
    crew = ScriptedCrew(old, failing[0], failing[1], failing[2])
    bound_to_fail = any(ids & set(range(old)) for ids in (failing[0], failing[2])) or 0 in failing[1]
    try:
        run(crew, ReloadRules(settle=1.0, delay=0.0, parallel=parallel))
        assert not bound_to_fail
    except StartFailed:
        assert bound_to_fail
    assert crew.living == crew.serving
    assert sorted(name[3:] for name in crew.serving) == [str(i) for i in range(old)]
