"""What a worker's record says after each event, and what is done and logged, word by word."""

from dataclasses import fields, replace
from typing import Any

import msgspec
import pytest
from fastlb.supervisor.processes.backoff import NO_CRASHES, CrashHistory
from fastlb.supervisor.workers.life import (
    ALIVE,
    SIGNAL_GRACE,
    Admit,
    Discard,
    Drain,
    Effects,
    EndedBy,
    Failure,
    GiveUp,
    KillGroup,
    Lifecycle,
    LifeEvent,
    LifeEventName,
    Report,
    SendSignal,
    Spawn,
    State,
    Withdraw,
)
from fastlb.supervisor.workers.transitions import step

from tests.support.lives import JOB, RULES, after, every_step, in_state

WHY = "exited with code 7"
CUT_OFF = Report("worker_cut_off", failed=True, reason="not finished within kill_timeout (30 s)")
GIVEN_UP = Report("worker_given_up", failed=True, reason="crashed too often: max_restarts")
# From which state, by which event at 100.0, with the reason WHY: what is done, in this order.
DONE: list[tuple[State, str, Effects]] = [
    (State.EXITED, "START_REQUESTED", (Spawn(),)),
    (State.STARTING, "SERVING", (Report("worker_ready"),)),
    (State.STARTING, "DRAIN_REQUESTED", (SendSignal("SIGTERM"),)),
    (State.STARTING, "EXITED", (Report("worker_start_failed", failed=True, reason=WHY), Discard())),
    (State.READY, "ADMIT_REQUESTED", (Admit(), Report("worker_admitted"))),
    (State.ADMITTED, "DRAIN_REQUESTED", (Drain(), Report("worker_draining"))),
    (State.ADMITTED, "LEFT", (Drain(by_itself=True), Report("worker_left", reason=WHY))),
    (
        State.ADMITTED,
        "HUNG",
        (Drain(), SendSignal("SIGABRT"), Report("worker_hung", failed=True, reason=WHY)),
    ),
    (
        State.ADMITTED,
        "FAULTED",
        (Drain(by_itself=True), KillGroup(), Report("worker_killed", failed=True, reason=WHY)),
    ),
    (State.ADMITTED, "EXITED", (Report("worker_crashed", failed=True, reason=WHY, restart_in=0.1), Discard())),
    (State.DRAINING, "DEADLINE_PASSED", (SendSignal("SIGTERM"), CUT_OFF)),
    (State.DRAINING, "EXITED", (Report("worker_exited", reason=WHY), Discard())),
    (State.STOPPING, "DEADLINE_PASSED", (KillGroup(), Report("worker_killed", failed=True))),
]
# Where an event at 100.0 leads, and when it is looked at again; None: it waits for an event.
DEADLINES: list[tuple[State, str, State, float | None]] = [
    (State.EXITED, "START_REQUESTED", State.STARTING, 100.0 + RULES.listen_timeout),
    (State.STARTING, "SERVING", State.READY, None),
    (State.STARTING, "STARTUP_FAILED", State.STOPPING, 100.0 + SIGNAL_GRACE),
    (State.STARTING, "STOP_REQUESTED", State.STOPPING, None),
    (State.STARTING, "EXITED", State.EXITED, None),
    (State.ADMITTED, "EXITED", State.BACKOFF, 100.0 + RULES.restart.exp_backoff_restart_delay),
    (State.DRAINING, "STOP_REQUESTED", State.STOPPING, None),
    (State.DRAINING, "EXITED", State.EXITED, None),
    (State.BACKOFF, "DRAIN_REQUESTED", State.EXITED, None),
    (State.ERRORED, "DRAIN_REQUESTED", State.EXITED, None),
]
WAITING = {State.STARTING, State.DRAINING, State.ENDING, State.BACKOFF}
TIMELESS = {State.READY, State.ADMITTED, State.EXITED, State.ERRORED, State.DONE}


def told(life: Lifecycle, name: str, now: float = 100.0, **words: Any) -> tuple[Lifecycle, Effects]:
    """The record after an event that says this, and its effects."""
    return step(life, LifeEvent(LifeEventName[name], **words), now)


@pytest.mark.parametrize(("state", "name", "effects"), DONE)
def test_what_is_done_and_logged_in_which_order(state: State, name: str, effects: Effects) -> None:
    assert told(in_state(state), name, reason=WHY)[1] == effects


@pytest.mark.parametrize("state", State)
def test_reset_forgets_restarts_and_crashes_and_nothing_else(state: State) -> None:
    before = in_state(state)
    counted = replace(before, restarts=3, crashes=CrashHistory((1.0, 2.0), delayed=1.0, streak=2))
    after_it, effects = told(counted, "RESET")
    assert after_it == replace(before, restarts=0, crashes=NO_CRASHES)
    assert effects == ()


def test_last_crash_is_logged_before_the_worker_is_given_up() -> None:
    once = replace(RULES, restart=replace(RULES.restart, max_restarts=1))
    given_up, effects = told(in_state(State.ADMITTED, once), "EXITED", 0.0, reason=WHY)
    assert effects == (Report("worker_crashed", failed=True, reason=WHY), GIVEN_UP, Discard(), GiveUp())
    assert (given_up.state, given_up.deadline) == (State.ERRORED, None)


@pytest.mark.parametrize(
    ("exit_code", "state", "effects"),
    [
        (0, State.DONE, (Report("worker_done", reason=WHY), Discard(), GiveUp())),
        (7, State.ERRORED, (Report("worker_crashed", failed=True, reason=WHY), Discard(), GiveUp())),
    ],
)
def test_job_that_has_ended_rests(exit_code: int, state: State, effects: Effects) -> None:
    ended = told(in_state(State.ADMITTED, JOB), "EXITED", reason=WHY, exit_code=exit_code)
    assert ended[1] == effects
    assert (ended[0].state, ended[0].deadline, ended[0].is_trial) == (state, None, False)
    assert ended[0].exit_code == exit_code


def test_signal_is_no_exit_code_that_ends_the_work() -> None:
    rules = replace(RULES, restart=replace(RULES.restart, stop_exit_codes=(137,)))
    for is_killed, state in ((True, State.BACKOFF), (False, State.DONE)):
        event = LifeEvent(LifeEventName.EXITED, exit_code=137, is_killed=is_killed)
        assert step(in_state(State.ADMITTED, rules), event, 1.0)[0].state is state


def test_job_that_has_ended_before_it_was_admitted_has_not_failed() -> None:
    ended, _ = told(in_state(State.STARTING, JOB), "EXITED", reason=WHY, exit_code=0)
    assert (ended.state, ended.deadline, ended.is_trial) == (State.DONE, None, False)


def test_exit_code_is_that_of_the_last_process_and_of_its_failure() -> None:
    going, _ = told(in_state(State.ADMITTED), "HUNG", reason="because")
    for before in (in_state(State.ADMITTED), going):
        crashed, _ = told(before, "EXITED", exit_code=7)
        assert crashed.failure is not None
        assert (crashed.exit_code, crashed.failure.exit_code) == (7, 7)
    left, _ = told(in_state(State.DRAINING), "EXITED", exit_code=7)
    assert (left.exit_code, left.failure) == (7, None)


@pytest.mark.parametrize(("state", "name", "expected", "deadline"), DEADLINES)
def test_when_a_worker_is_looked_at_again(
    state: State, name: str, expected: State, deadline: float | None
) -> None:
    life, _ = after(in_state(state), name, now=100.0)
    assert (life.state, life.deadline) == (expected, deadline)


def test_cancelled_start_has_its_own_grace() -> None:
    """A worker of a kind that works before it is ready has until then to finish."""
    cancelled, _ = after(in_state(State.STARTING, replace(RULES, starting_grace=8.0)), "DRAIN_REQUESTED", now=100.0)
    assert (cancelled.state, cancelled.deadline) == (State.STOPPING, 108.0)


def test_nobody_waits_for_ever_and_no_deadline_outlives_its_reason() -> None:
    for one in every_step():
        if one.after.state in WAITING:
            assert one.after.deadline is not None, one
        if one.after.state in TIMELESS:
            assert one.after.deadline is None, one


def test_records_and_effects_hold_what_they_declare() -> None:
    """No None among flags and words: `is False` and texts for people rely on it."""
    records = {record for one in every_step() for record in (one.after, *one.effects)}
    for record in records:
        assert msgspec.convert(msgspec.to_builtins(record), type(record)) == record


@pytest.mark.parametrize(
    ("state", "name", "restarts"), [(State.EXITED, "START_REQUESTED", 4), (State.BACKOFF, "DEADLINE_PASSED", 5)]
)
def test_what_the_last_process_was_and_did_is_forgotten(state: State, name: str, restarts: int) -> None:
    crashes = CrashHistory((5.0,), streak=1)
    fresh = Lifecycle(RULES, state=state, deadline=50.0, restarts=4, crashes=crashes)
    flags: dict[str, Any] = {one.name: True for one in fields(Lifecycle) if one.default is False}
    used = replace(fresh, **flags, died_at=40.0, ended_by=EndedBy.SIGNAL, failure=Failure(WHY), exit_code=7)
    started, _ = after(used, name, now=100.0)
    assert started == replace(fresh, state=State.STARTING, deadline=160.0, restarts=restarts)


def test_worker_is_on_trial_until_it_is_admitted() -> None:
    assert in_state(State.READY).is_trial
    assert not in_state(State.ADMITTED).is_trial


@pytest.mark.parametrize("state", [State.BACKOFF, State.ERRORED, State.DONE])
@pytest.mark.parametrize("name", ["DRAIN_REQUESTED", "STOP_REQUESTED"])
def test_worker_without_a_process_that_is_told_to_go_is_gone_for_good(state: State, name: str) -> None:
    assert after(in_state(state), name)[0].is_leaving


@pytest.mark.parametrize("name", ["HUNG", "LEFT", "FAULTED"])
def test_why_a_worker_had_to_go_is_kept_over_how_it_ended(name: str) -> None:
    going, _ = told(in_state(State.ADMITTED), name, reason="because")
    gone, effects = told(going, "EXITED", 101.0, reason=WHY)
    assert gone.failure == Failure("because", is_own_wish=name == "LEFT")
    assert Report("worker_crashed", failed=True, reason="because", restart_in=0.1) in effects


def test_worker_that_closes_its_channel_and_lives_is_said_to_have_done_so() -> None:
    dying, _ = after(in_state(State.ADMITTED), "CHANNEL_CLOSED", now=5.0)
    killed, _ = after(dying, "DEADLINE_PASSED", now=6.0)
    assert killed.failure == Failure("closed its channel to the supervisor and did not exit")


def test_failed_start_is_told_with_its_traceback_and_whose_fault_it_is() -> None:
    """What it printed at its end fills in for a traceback, and replaces none."""
    failed, _ = told(in_state(State.STARTING), "STARTUP_FAILED", reason="no app", details="Trace", is_usage=True)
    assert failed.failure == Failure("no app", "Trace", is_usage=True)
    assert told(failed, "EXITED", details="last words")[0].failure == failed.failure
    silent, _ = told(in_state(State.STARTING), "STARTUP_FAILED", reason="no app")
    assert told(silent, "EXITED", details="last words")[0].failure == Failure("no app", "last words")
    for name in ("EXITED", "SPAWN_FAILED"):
        gone, _ = told(in_state(State.STARTING), name, reason=WHY, details="last words", is_usage=True)
        assert gone.failure == Failure(WHY, "last words", is_usage=True)


@pytest.mark.parametrize(
    ("lived", "unstable"), [(RULES.restart.min_uptime, 0), (RULES.restart.min_uptime - 0.1, 1)]
)
def test_worker_that_was_ready_long_enough_has_lived(lived: float, unstable: int) -> None:
    crashed, _ = after(in_state(State.ADMITTED), "EXITED", now=lived)
    assert (crashed.crashes.streak, len(crashed.crashes.unstable_exits)) == (unstable, unstable)


def test_time_until_a_start_fails_is_no_uptime_although_the_last_process_was_ready_long_ago() -> None:
    crashed, _ = after(in_state(State.ADMITTED), "EXITED", now=100.0)
    restarted, _ = after(crashed, "DEADLINE_PASSED", now=101.0)
    assert after(restarted, "EXITED", now=150.0)[0].crashes.streak == 1


def ending(choice: str) -> Lifecycle:
    """A worker that was told at 122.5 to end as it chose, with requests under way."""
    preloaded, _ = after(in_state(State.ADMITTED), "PRELOADED", "DRAIN_REQUESTED", now=100.0)
    told_to_end, _ = after(preloaded, choice, "DEADLINE_PASSED", now=122.5)
    assert told_to_end.state is State.ENDING
    return told_to_end


def test_worker_that_was_told_by_message_and_has_finished_is_not_cut_off() -> None:
    """It has no client left, so it may take its time to clean up."""
    finished, effects = after(ending("MESSAGE_CHOSEN"), "FINISHED", now=125.0)
    assert (finished.deadline, effects) == (130.0, ())
    signalled, effects = after(finished, "DEADLINE_PASSED", now=130.0)
    assert (signalled.state, effects) == (State.STOPPING, (SendSignal("SIGTERM"),))
    assert signalled.deadline == 130.0 + RULES.kill_timeout


def test_worker_that_was_told_by_message_and_goes_on_is_cut_off() -> None:
    stopping, effects = after(ending("MESSAGE_CHOSEN"), "DEADLINE_PASSED", now=130.0)
    assert effects == (SendSignal("SIGTERM"), CUT_OFF)
    assert stopping.deadline == 130.0 + SIGNAL_GRACE


def test_worker_that_was_signalled_and_goes_on_is_killed_and_cut_off() -> None:
    killed, effects = after(ending("SIGNAL_CHOSEN"), "DEADLINE_PASSED", now=130.0)
    assert effects == (KillGroup(), Report("worker_killed", failed=True), CUT_OFF)
    assert (killed.state, killed.deadline) == (State.STOPPING, None)


def test_worker_whose_app_disconnects_itself_ends_as_after_our_disconnect_whatever_it_had_chosen() -> None:
    preloaded, _ = after(in_state(State.ADMITTED), "PRELOADED", "DRAIN_REQUESTED", now=100.0)
    left, _ = after(preloaded, "SIGNAL_CHOSEN", "LEFT", now=102.0)
    finished, _ = after(left, "FINISHED", now=103.0)
    assert (finished.is_finished, finished.deadline) == (True, 103.0 + SIGNAL_GRACE)


def test_word_of_the_app_counts_once_it_also_serves() -> None:
    starting = in_state(State.STARTING, replace(RULES, wait_ready=True))
    ready, _ = after(starting, "SERVING", "READY_SAID", now=7.0)
    assert (ready.state, ready.ready_at) == (State.READY, 7.0)


@pytest.mark.parametrize("state", [state for state in State if state in ALIVE])
def test_told_to_stop_is_told_to_leave(state: State) -> None:
    assert after(in_state(state), "STOP_REQUESTED")[0].is_leaving


def test_worker_that_is_not_ready_any_more_is_out_of_the_policy_until_it_is_again() -> None:
    unready, effects = told(in_state(State.ADMITTED), "UNREADY_SAID", reason=WHY)
    assert (unready.state, unready.gets_connections) == (State.ADMITTED, False)
    assert effects == (Withdraw(), Report("worker_unready", reason=WHY))
    assert told(unready, "UNREADY_SAID", reason=WHY) == (unready, ())
    again, effects = told(unready, "READY_SAID")
    assert again == in_state(State.ADMITTED)
    assert effects == (Admit(), Report("worker_ready_again"))
    assert told(again, "READY_SAID") == (again, ())


def test_worker_that_is_not_ready_any_more_is_admitted_without_connections() -> None:
    unready, effects = told(in_state(State.READY), "UNREADY_SAID", reason=WHY)
    assert effects == (Report("worker_unready", reason=WHY),)
    admitted, effects = told(unready, "ADMIT_REQUESTED")
    assert (admitted.state, effects) == (State.ADMITTED, (Report("worker_admitted"),))
    assert told(admitted, "READY_SAID")[1] == (Admit(), Report("worker_ready_again"))


def test_word_that_is_taken_back_before_it_counted_does_not_count() -> None:
    starting = in_state(State.STARTING, replace(RULES, wait_ready=True))
    taken_back, _ = after(starting, "READY_SAID", "UNREADY_SAID", "SERVING")
    assert taken_back.state is State.STARTING
    assert after(taken_back, "READY_SAID")[0].state is State.READY


def test_job_that_left_by_its_own_wish_is_done_when_it_exits_well() -> None:
    left, _ = told(in_state(State.ADMITTED, JOB), "LEFT", reason=WHY)
    done, _ = told(left, "EXITED", exit_code=0)
    assert (done.state, done.failure) == (State.DONE, None)
    assert told(left, "EXITED", exit_code=7)[0].state is State.ERRORED


def test_worker_with_a_health_check_is_ready_when_it_has_passed_one() -> None:
    starting = in_state(State.STARTING, replace(RULES, has_health_check=True))
    asked, _ = after(starting, "SERVING")
    assert (asked.state, asked.awaits_check) == (State.STARTING, True)
    ready, _ = after(asked, "CHECK_FAILED", "CHECK_PASSED")
    assert (ready.state, ready.has_passed_check, ready.ailment) == (State.READY, False, "")
    failed, _ = told(asked, "CHECK_FAILED", reason="GET /: 503")
    given_up, _ = after(failed, "DEADLINE_PASSED", now=60.0)
    assert given_up.failure is not None
    assert given_up.failure.reason.startswith("did not pass its health check (GET /: 503) within 60 s")


def test_ill_worker_is_out_of_the_policy_until_it_has_recovered_and_is_ready() -> None:
    ill, effects = told(in_state(State.ADMITTED), "FELL_ILL")
    assert (ill.gets_connections, effects) == (False, (Withdraw(),))
    both, effects = told(ill, "UNREADY_SAID", reason=WHY)
    assert effects == (Report("worker_unready", reason=WHY),)
    assert told(both, "RECOVERED")[1] == ()
    assert told(ill, "RECOVERED")[1] == (Admit(),)
    assert not told(both, "DRAIN_REQUESTED")[0].is_withheld
