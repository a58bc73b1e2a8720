"""Questions about the set of workers."""

from dataclasses import dataclass, replace

import pytest
from fastlb.supervisor.kinds import traits_of
from fastlb.supervisor.operations import Operation
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.workers.crew import lifecycle_rules
from fastlb.supervisor.workers.life import Failure, Lifecycle, State
from fastlb.supervisor.workers.roster import (
    app_status,
    are_all_at_rest,
    established,
    exit_code_of,
    given_up_ids,
    is_abandoned,
    last_failure,
    missing_ids,
    staying,
    surplus,
)
from hypothesis import given
from hypothesis import strategies as st

CONFIG = AppConfig(target="app:app", name="app")
NEW = Lifecycle(lifecycle_rules(CONFIG, traits_of(CONFIG)))


@dataclass(frozen=True)
class Worker:
    worker_id: int
    generation: int
    life: Lifecycle


def worker(worker_id: int, state: State = State.ADMITTED, *, generation: int = 1, leaving: bool = False) -> Worker:
    life = replace(NEW, state=state, is_leaving=leaving, is_trial=state in (State.STARTING, State.READY))
    return Worker(worker_id, generation, life)


def test_draining_workers_do_not_stay_and_free_their_ids() -> None:
    members = [worker(0), worker(1, State.DRAINING, leaving=True)]
    assert [w.worker_id for w in staying(members)] == [0]
    assert missing_ids(members, 2) == [1]


def test_hung_worker_stays_because_it_will_be_restarted() -> None:
    assert len(staying([worker(0, State.STOPPING)])) == 1


def test_reload_replaces_crashed_workers_and_leaves_those_on_trial() -> None:
    members = [worker(0), worker(1, State.BACKOFF), worker(2, State.ERRORED), worker(3, State.STARTING)]
    assert [w.worker_id for w in established(members)] == [0, 1, 2]


def test_gaps_are_filled_first() -> None:
    assert missing_ids([worker(0), worker(2)], 4) == [1, 3]


def test_places_of_stopped_workers_are_no_gaps() -> None:
    assert missing_ids([worker(1), worker(2)], 2, held={0}) == []
    assert missing_ids([worker(1), worker(2)], 4, held={0}) == [3, 4]


def test_newest_ids_go_first() -> None:
    assert [w.worker_id for w in surplus([worker(i) for i in range(5)], 3)] == [4, 3]


def test_those_that_serve_nobody_go_before_those_that_serve() -> None:
    members = [worker(0, State.ERRORED), worker(1, State.BACKOFF), worker(2), worker(3)]
    assert [w.worker_id for w in surplus(members, 1)] == [0, 1, 3]


def test_of_two_with_one_id_the_newer_goes_first_and_is_listed_last() -> None:
    members = [worker(0, generation=2), worker(0, generation=1)]
    assert [w.generation for w in staying(members)] == [1, 2]
    assert [w.generation for w in surplus(members, 1)] == [2]


def test_given_up_are_those_that_stay_and_do_not_run() -> None:
    members = [worker(0), worker(1, State.ERRORED), worker(2, State.BACKOFF), worker(3, State.ERRORED, leaving=True)]
    assert given_up_ids(members) == [1]


@pytest.mark.parametrize(
    ("states", "abandoned", "at_rest"),
    [
        ([], True, False),
        ([State.ERRORED], True, True),
        ([State.ERRORED, State.DONE], True, True),
        ([State.ERRORED, State.BACKOFF], False, False),
        ([State.ADMITTED], False, False),
        ([State.EXITED], True, False),
    ],
)
def test_app_is_abandoned_when_no_worker_will_serve_by_itself(
    states: list[State], abandoned: bool, at_rest: bool
) -> None:
    members = [worker(number, state) for number, state in enumerate(states)]
    assert (is_abandoned(members), are_all_at_rest(members)) == (abandoned, at_rest)


def ended(worker_id: int, died_at: float | None, exit_code: int | None, *, leaving: bool = False) -> Worker:
    """A worker that was given up, for a reason with its id."""
    given_up = worker(worker_id, State.ERRORED, leaving=leaving)
    failure = Failure(f"of {worker_id}")
    return replace(given_up, life=replace(given_up.life, died_at=died_at, exit_code=exit_code, failure=failure))


def test_why_an_app_failed_is_why_the_last_of_those_did_that_stay() -> None:
    unknown, first, last, gone = ended(0, None, 1), ended(1, 0.5, 2), ended(2, 7.0, 3), ended(3, 9.0, 4, leaving=True)
    assert last_failure([unknown, first]) == Failure("of 1")
    assert last_failure([unknown, last, first, gone, worker(4)]) == Failure("of 2")
    assert last_failure([gone, worker(4)]) is None


def test_exit_code_is_that_of_the_first_that_failed() -> None:
    done, killed, failed, gone = ended(0, 1.0, 0), ended(1, 2.0, None), ended(2, 3.0, 7), ended(3, 1.0, 9)
    gone = replace(gone, worker_id=0, life=replace(gone.life, is_leaving=True))
    assert exit_code_of([ended(4, 0.0, 9), failed, killed, done, gone]) == 7
    assert exit_code_of([done, killed, gone]) == 0
    assert exit_code_of([]) == 0


@given(ids=st.sets(st.integers(0, 20)), target=st.integers(1, 20))
def test_missing_and_surplus_lead_to_the_target(ids: set[int], target: int) -> None:
    members = [worker(i) for i in ids]
    after = len(ids) - len(surplus(members, target)) + len(missing_ids(members, target))
    assert after == target


@pytest.mark.parametrize(
    ("states", "operation", "expected"),
    [
        ([State.ADMITTED, State.ADMITTED], None, "online"),
        ([State.ADMITTED, State.BACKOFF], None, "degraded"),
        ([State.BACKOFF, State.BACKOFF], None, "degraded"),
        ([State.ERRORED, State.ERRORED], None, "errored"),
        ([State.ERRORED, State.ADMITTED], None, "degraded"),
        ([], None, "errored"),
        ([State.DONE, State.DONE], None, "finished"),
        ([State.DONE, State.ADMITTED], None, "online"),
        ([State.DONE, State.BACKOFF], None, "degraded"),
        ([State.DONE, State.ERRORED], None, "errored"),
        ([State.ADMITTED, State.ADMITTED], Operation.RELOAD, "reloading"),
        ([State.STARTING], Operation.START, "starting"),
        ([State.STARTING], Operation.RESTART, "starting"),
        ([State.DRAINING], Operation.STOP, "stopping"),
        ([State.ADMITTED, State.ADMITTED, State.STARTING], Operation.SCALE, "online"),
    ],
)
def test_status_of_the_app(states: list[State], operation: Operation | None, expected: str) -> None:
    members = [worker(i, state) for i, state in enumerate(states)]
    assert app_status(members, 2, operation.status if operation else None) == expected
