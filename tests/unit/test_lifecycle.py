"""The table of a worker's life: complete, and right where it matters."""

import re
from dataclasses import replace

import pytest
from fastlb.supervisor.workers import transitions
from fastlb.supervisor.workers.life import (
    ALIVE,
    SIGNAL_GRACE,
    Admit,
    Discard,
    Drain,
    Effect,
    GiveUp,
    KillGroup,
    LetExit,
    Lifecycle,
    LifeEvent,
    LifeEventName,
    Report,
    SendShutdown,
    SendSignal,
    Spawn,
    State,
)
from fastlb.supervisor.workers.transitions import TABLE, step
from hypothesis import given
from hypothesis import strategies as st

from tests.support.lives import RULES, after, every_step, in_state, kinds


def test_every_state_and_event_is_decided() -> None:
    assert set(TABLE) == {(state, event) for state in State for event in LifeEventName}


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_reached(state: State) -> None:
    in_state(state)


def listed_transitions() -> set[tuple[str, str, str]]:
    """(from, to, event) by the list in the header of transitions.py."""
    listed: set[tuple[str, str, str]] = set()
    text = str(transitions.__doc__).replace("\n        ", " ")
    for before, after_it, names in re.findall(r"^    (\w+) -> (\w+): ([A-Z_ ]+)$", text, re.MULTILINE):
        listed |= {(before, after_it, name) for name in names.split()}
    return listed


def possible_transitions() -> set[tuple[str, str, str]]:
    """(from, to, event) of everything that the table lets happen to any record that it can lead to."""
    return {
        (one.before.state.name, one.after.state.name, one.event.name)
        for one in every_step()
        if (one.after, one.effects) != (one.before, ())
    }


def test_list_of_transitions_is_that_of_the_table() -> None:
    listed, possible = listed_transitions(), possible_transitions()
    assert listed - possible == set(), "listed, and the table does not know it"
    assert possible - listed == set(), "not listed"


def test_every_event_is_in_the_list() -> None:
    assert {event for _, _, event in listed_transitions()} == {name.name for name in LifeEventName}


def test_worker_that_left_and_is_started_again_is_wanted_again() -> None:
    left, _ = after(in_state(State.ADMITTED), "DRAIN_REQUESTED", "EXITED")
    again, _ = after(left, "START_REQUESTED")
    assert not again.is_leaving


def test_wait_ready_needs_the_word_of_the_app_besides_serving() -> None:
    starting = in_state(State.STARTING, replace(RULES, wait_ready=True))
    assert after(starting, "SERVING")[0].state is State.STARTING
    assert after(starting, "READY_SAID")[0].state is State.STARTING
    assert after(starting, "SERVING", "READY_SAID")[0].state is State.READY
    assert after(starting, "READY_SAID", "SERVING")[0].state is State.READY


def test_ready_is_not_admitted_before_it_is_asked_for() -> None:
    life, effects = after(in_state(State.STARTING), "SERVING")
    assert life.state is State.READY
    assert Admit not in kinds(effects)


def test_restarted_worker_is_admitted_as_soon_as_it_is_ready() -> None:
    backoff = in_state(State.BACKOFF)
    assert backoff.deadline is not None
    starting, effects = step(backoff, LifeEvent(LifeEventName.DEADLINE_PASSED), backoff.deadline)
    assert kinds(effects) == [Spawn]
    assert starting.restarts == 1
    admitted, effects = after(starting, "SERVING", now=backoff.deadline)
    assert admitted.state is State.ADMITTED
    assert Admit in kinds(effects)


@pytest.mark.parametrize("name", ["EXITED", "SPAWN_FAILED"])
def test_failed_first_start_ends_with_its_reason_and_is_not_repeated(name: str) -> None:
    life, effects = step(in_state(State.STARTING), LifeEvent(LifeEventName[name], "exited with code 1", "Trace"), 1.0)
    assert life.state is State.EXITED
    assert life.failure is not None
    assert (life.failure.reason, life.failure.details) == ("exited with code 1", "Trace")
    assert Discard in kinds(effects)


def test_reason_of_a_failed_startup_is_kept_over_the_exit_code() -> None:
    event = LifeEvent(LifeEventName.STARTUP_FAILED, "no module named app", "Traceback")
    stopping, _ = step(in_state(State.STARTING), event, 1.0)
    life, _ = step(stopping, LifeEvent(LifeEventName.EXITED, "exited with code 3"), 1.1)
    assert life.failure is not None
    assert life.failure.reason == "no module named app"


def test_never_ready_is_aborted_so_that_its_stack_is_seen() -> None:
    stopping, effects = after(in_state(State.STARTING), "DEADLINE_PASSED", now=60.0)
    assert effects == (SendSignal("SIGABRT"),)
    assert stopping.failure is not None
    assert "--listen-timeout" in stopping.failure.reason


@pytest.mark.parametrize("state", [State.READY, State.ADMITTED])
def test_drain_gives_kill_timeout_then_signal_then_kill(state: State) -> None:
    draining, effects = after(in_state(state), "DRAIN_REQUESTED", now=100.0)
    assert kinds(effects)[0] is Drain
    assert draining.deadline == 130.0
    stopping, effects = after(draining, "DEADLINE_PASSED", now=130.0)
    assert effects[0] == SendSignal("SIGTERM")
    assert stopping.deadline == 130.0 + SIGNAL_GRACE
    _, effects = after(stopping, "DEADLINE_PASSED", now=131.0)
    assert kinds(effects)[0] is KillGroup


def test_deadline_that_was_moved_means_nothing() -> None:
    draining, _ = after(in_state(State.ADMITTED), "DRAIN_REQUESTED", now=100.0)
    assert after(draining, "DEADLINE_PASSED", now=129.9) == (draining, ())


@pytest.mark.parametrize("state", [state for state in State if state in ALIVE])
def test_stop_kills_the_group_at_once_and_nothing_comes_back(state: State) -> None:
    stopping, effects = after(in_state(state), "STOP_REQUESTED")
    assert kinds(effects) == [KillGroup]
    assert after(stopping, "EXITED")[0].state is State.EXITED


@pytest.mark.parametrize("state", [State.DRAINING, State.STARTING])
def test_worker_that_was_asked_to_go_is_not_restarted(state: State) -> None:
    leaving, _ = after(in_state(state), "DRAIN_REQUESTED")
    life, effects = after(leaving, "EXITED")
    assert life.state is State.EXITED
    assert life.failure is None
    assert Spawn not in kinds(effects)


def test_drain_of_a_hung_worker_cancels_its_restart() -> None:
    life, _ = after(in_state(State.STOPPING), "DRAIN_REQUESTED", "EXITED")
    assert life.state is State.EXITED


def test_hung_worker_is_taken_out_before_it_is_aborted_and_then_killed() -> None:
    stopping, effects = after(in_state(State.ADMITTED), "HUNG", now=5.0)
    assert kinds(effects)[:2] == [Drain, SendSignal]
    assert SendSignal("SIGABRT") in effects
    _, effects = after(stopping, "DEADLINE_PASSED", now=6.0)
    assert kinds(effects)[0] is KillGroup


def test_crash_closes_the_channel_first_and_keeps_its_own_reason() -> None:
    dying, _ = after(in_state(State.ADMITTED), "CHANNEL_CLOSED", now=5.0)
    life, _ = step(dying, LifeEvent(LifeEventName.EXITED, "killed by SIGSEGV"), 5.001)
    assert life.state is State.BACKOFF
    assert life.failure is not None
    assert life.failure.reason == "killed by SIGSEGV"


def test_worker_that_closes_its_channel_and_lives_is_killed() -> None:
    dying, _ = after(in_state(State.ADMITTED), "CHANNEL_CLOSED", now=5.0)
    killed, effects = after(dying, "DEADLINE_PASSED", now=6.0)
    assert kinds(effects)[0] is KillGroup
    assert killed.failure is not None


def test_dead_worker_is_waited_for_without_a_deadline() -> None:
    closing, _ = after(in_state(State.ADMITTED), "CHANNEL_CLOSED", now=5.0)
    dead, effects = after(closing, "DIED", now=5.1)
    assert (dead.state, dead.deadline, effects) == (State.STOPPING, None, ())
    life, _ = step(dead, LifeEvent(LifeEventName.EXITED, "killed by SIGKILL"), 8.0)
    assert life.failure is not None
    assert life.failure.reason == "killed by SIGKILL"


def test_time_in_which_its_last_output_is_read_is_no_uptime() -> None:
    died_young, _ = after(in_state(State.ADMITTED), "DIED", now=RULES.restart.min_uptime / 2)
    life, _ = after(died_young, "EXITED", now=RULES.restart.min_uptime * 2)
    assert life.crashes.streak == 1, "an unstable exit"


def test_time_in_which_it_starts_is_no_uptime() -> None:
    late = RULES.restart.min_uptime * 3
    restarting, _ = after(in_state(State.BACKOFF), "DEADLINE_PASSED", now=1.0)
    ready, _ = after(restarting, "SERVING", now=late)
    life, _ = after(ready, "EXITED", now=late + RULES.restart.min_uptime / 2)
    assert life.crashes.streak == 2, "an unstable exit"


@pytest.mark.parametrize("state", [State.READY, State.ADMITTED])
def test_worker_that_leaves_by_its_own_wish_is_not_told_to_and_another_follows(state: State) -> None:
    leaving, effects = step(in_state(state), LifeEvent(LifeEventName.LEFT, "left by its own wish"), 100.0)
    assert effects[0] == Drain(by_itself=True)
    assert (leaving.state, leaving.deadline, leaving.is_leaving) == (State.DRAINING, 130.0, False)
    life, effects = step(leaving, LifeEvent(LifeEventName.EXITED, "exited with code 0"), 101.0)
    assert Discard in kinds(effects)
    assert life.failure is not None
    assert life.failure.reason == "left by its own wish"
    assert life.state is (State.BACKOFF if state is State.ADMITTED else State.EXITED)


def test_worker_that_leaves_before_it_is_ready_has_not_started() -> None:
    starting = in_state(State.STARTING)
    assert after(starting, "LEFT") == (starting, ())
    closing, effects = after(starting, "FINISHED", now=1.0)
    assert (closing.state, closing.deadline, effects) == (State.STOPPING, 1.0 + SIGNAL_GRACE, ())
    life, _ = step(closing, LifeEvent(LifeEventName.EXITED, "exited with code 0"), 1.1)
    assert (life.state, life.is_leaving) == (State.EXITED, False)
    assert life.failure is not None


def test_worker_that_is_asked_to_go_while_it_leaves_does_not_come_back() -> None:
    leaving, _ = after(in_state(State.ADMITTED), "LEFT", now=100.0)
    asked, effects = after(leaving, "DRAIN_REQUESTED", now=110.0)
    assert (asked.state, asked.deadline, effects) == (State.DRAINING, leaving.deadline, ())
    life, _ = after(asked, "EXITED", now=111.0)
    assert life.state is State.EXITED
    assert life.is_leaving


def test_worker_that_leaves_and_does_not_finish_is_cut_off_and_replaced() -> None:
    leaving, _ = after(in_state(State.ADMITTED), "LEFT", now=100.0)
    cut_off, effects = after(leaving, "DEADLINE_PASSED", now=130.0)
    assert effects[0] == SendSignal("SIGTERM")
    assert after(cut_off, "EXITED", now=131.0)[0].state is State.BACKOFF


def test_worker_that_has_finished_and_lives_is_signalled_soon_and_killed_late() -> None:
    draining, _ = after(in_state(State.ADMITTED), "DRAIN_REQUESTED", now=100.0)
    finished, effects = after(draining, "FINISHED", now=105.0)
    assert (finished.state, finished.deadline, effects) == (State.DRAINING, 105.0 + SIGNAL_GRACE, ())
    signalled, effects = after(finished, "DEADLINE_PASSED", now=106.0)
    assert effects == (SendSignal("SIGTERM"),), "no failure: it has no client left"
    assert signalled.deadline == 106.0 + RULES.kill_timeout
    _, effects = after(signalled, "DEADLINE_PASSED", now=signalled.deadline)
    assert kinds(effects)[0] is KillGroup


def test_worker_that_finishes_just_before_kill_timeout_gets_no_more_time() -> None:
    draining, _ = after(in_state(State.ADMITTED), "DRAIN_REQUESTED", now=100.0)
    finished, _ = after(draining, "FINISHED", now=129.5)
    assert finished.deadline == 130.0


def draining_quietly(*choices: str) -> Lifecycle:
    """A worker that has drained quietly since 100.0, and said this meanwhile."""
    preloaded, _ = after(in_state(State.ADMITTED), "PRELOADED", "DRAIN_REQUESTED", now=100.0)
    return after(preloaded, *choices, now=101.0)[0]


def test_quiet_drain_says_nothing_and_keeps_time_for_the_end() -> None:
    preloaded, _ = after(in_state(State.ADMITTED), "PRELOADED")
    draining, effects = after(preloaded, "DRAIN_REQUESTED", now=100.0)
    assert effects[0] == Drain(quietly=True)
    assert draining.deadline == 100.0 + 0.75 * RULES.kill_timeout


ENDS = pytest.mark.parametrize(
    ("choices", "effect"),
    [
        ((), Drain()),
        (("SIGNAL_CHOSEN",), SendSignal("SIGTERM")),
        (("MESSAGE_CHOSEN",), SendShutdown()),
        (("SIGNAL_CHOSEN", "NOTHING_CHOSEN"), Drain()),
    ],
)


@ENDS
def test_idle_worker_is_told_to_end_as_it_wants_and_has_its_time(choices: tuple[str, ...], effect: Effect) -> None:
    ending, effects = after(draining_quietly(*choices), "IDLE", now=102.0)
    assert (ending.state, ending.deadline, effects) == (State.ENDING, 102.0 + RULES.kill_timeout, (effect,))
    assert after(ending, "IDLE", now=103.0) == (ending, ()), "once"


@ENDS
def test_worker_that_is_never_idle_is_told_before_kill_timeout_ends(choices: tuple[str, ...], effect: Effect) -> None:
    draining = draining_quietly(*choices)
    ending, effects = after(draining, "DEADLINE_PASSED", now=122.5)
    assert (ending.state, ending.deadline, effects) == (State.ENDING, 130.0, (effect,))
    _, effects = after(ending, "DEADLINE_PASSED", now=130.0)
    assert "worker_cut_off" in [effect.event for effect in effects if isinstance(effect, Report)]


def test_worker_that_was_signalled_is_not_signalled_again_but_killed() -> None:
    ending, _ = after(draining_quietly("SIGNAL_CHOSEN"), "IDLE", now=102.0)
    closed, effects = after(ending, "SERVERS_CLOSED", now=103.0)
    assert effects == (LetExit(),)
    finished, effects = after(closed, "FINISHED", now=104.0)
    assert (finished.deadline, effects) == (ending.deadline, ())
    killed, effects = after(finished, "DEADLINE_PASSED", now=132.0)
    assert kinds(effects) == [KillGroup, Report], "and nobody was cut off"
    assert (killed.state, killed.deadline) == (State.STOPPING, None)


def test_worker_that_was_told_to_disconnect_is_signalled_a_second_after_it_has() -> None:
    ending, _ = after(draining_quietly(), "IDLE", now=102.0)
    assert after(ending, "SERVERS_CLOSED", now=102.1) == (ending, ())
    finished, effects = after(ending, "FINISHED", now=102.2)
    assert (finished.deadline, effects) == (102.2 + SIGNAL_GRACE, ())
    assert after(finished, "DEADLINE_PASSED", now=104.0)[1] == (SendSignal("SIGTERM"),)


def test_worker_that_closes_its_channel_while_it_drains_quietly_is_signalled() -> None:
    finished, _ = after(draining_quietly("SIGNAL_CHOSEN"), "FINISHED", now=102.0)
    signalled, effects = after(finished, "DEADLINE_PASSED", now=102.0 + SIGNAL_GRACE)
    assert (signalled.state, effects) == (State.STOPPING, (SendSignal("SIGTERM"),))


def test_worker_that_leaves_by_itself_while_it_drains_quietly_is_never_told() -> None:
    left, effects = after(draining_quietly(), "LEFT", now=102.0)
    assert (left.state, left.deadline, effects) == (State.ENDING, 130.0, (Drain(by_itself=True),))
    signalled, _ = after(draining_quietly("SIGNAL_CHOSEN"), "IDLE", now=102.0)
    assert after(signalled, "LEFT", now=103.0) == (signalled, (Drain(by_itself=True),))


def test_word_of_a_worker_that_does_not_drain_quietly_means_nothing() -> None:
    draining = in_state(State.DRAINING)
    for name in ("IDLE", "LEFT", "SERVERS_CLOSED"):
        assert after(draining, name) == (draining, ())


def test_worker_that_closes_its_channel_unasked_is_out_of_the_policy_and_must_exit() -> None:
    closing, effects = after(in_state(State.ADMITTED), "FINISHED", now=5.0)
    assert (closing.state, closing.deadline) == (State.STOPPING, 5.0 + SIGNAL_GRACE)
    assert effects == (Drain(by_itself=True),)
    assert after(closing, "FINISHED", now=5.5) == (closing, ()), "said twice, it is late as before"
    assert after(closing, "EXITED", now=5.1)[0].state is State.BACKOFF
    _, effects = after(closing, "DEADLINE_PASSED", now=6.0)
    assert kinds(effects)[0] is KillGroup


@pytest.mark.parametrize("state", [state for state in State if state in ALIVE])
def test_worker_that_does_what_no_worker_may_is_killed_at_once_and_it_is_said_why(state: State) -> None:
    killed, effects = step(in_state(state), LifeEvent(LifeEventName.FAULTED, "wrote too much"), 5.0)
    assert effects[:2] == (Drain(by_itself=True), KillGroup())
    assert (killed.state, killed.deadline) == (State.STOPPING, None)
    life, _ = step(killed, LifeEvent(LifeEventName.EXITED, "killed by SIGKILL"), 5.1)
    if not life.is_leaving:
        assert life.failure is not None
        assert life.failure.reason == "wrote too much"


@pytest.mark.parametrize("state", [State.EXITED, State.BACKOFF, State.ERRORED])
@pytest.mark.parametrize("name", ["LEFT", "FINISHED", "FAULTED"])
def test_what_a_dead_worker_said_means_nothing(state: State, name: str) -> None:
    assert after(in_state(state), name) == (in_state(state), ())


def test_message_of_what_is_missing_is_that_of_the_kind_of_worker() -> None:
    rules = replace(RULES, wait_ready=True, not_serving="did not listen", not_said="did not say ready")
    starting = in_state(State.STARTING, rules)
    missing = {(): "did not listen", ("SERVING",): "did not say ready", ("READY_SAID",): "did not listen"}
    for events, expected in missing.items():
        waiting, _ = after(starting, *events)
        given_up, _ = after(waiting, "DEADLINE_PASSED", now=60.0)
        assert given_up.failure is not None
        assert given_up.failure.reason.startswith(f"{expected} within 60 s")


def test_crash_loop_ends_in_errored() -> None:
    life, now = in_state(State.ADMITTED), 0.0
    for _ in range(RULES.restart.max_restarts - 1):
        life, _ = after(life, "EXITED", now=now)
        assert life.state is State.BACKOFF
        assert life.deadline is not None
        now = life.deadline
        life, _ = after(life, "DEADLINE_PASSED", now=now)
        life, _ = after(life, "SERVING", now=now)
    exited = LifeEvent(LifeEventName.EXITED, "exited with code 3", exit_code=3)
    life, effects = step(life, exited, now)
    assert life.state is State.ERRORED
    assert kinds(effects)[-1] is GiveUp
    assert life.failure is not None
    assert life.failure.exit_code == 3


EVENTS = st.lists(st.tuples(st.sampled_from(LifeEventName), st.floats(0, 100)), max_size=60)


@given(EVENTS, st.booleans())
def test_any_sequence_keeps_processes_and_records_in_step(
    events: list[tuple[LifeEventName, float]], wait_ready: bool
) -> None:
    """A process exists between Spawn and Discard exactly, and a living worker never has two."""
    life, now, processes = Lifecycle(replace(RULES, wait_ready=wait_ready)), 0.0, 0
    for name, elapsed in events:
        now += elapsed
        life, effects = step(life, LifeEvent(name), now)
        processes += sum(isinstance(e, Spawn) for e in effects) - sum(isinstance(e, Discard) for e in effects)
        assert processes == (life.state in ALIVE)


@given(EVENTS)
def test_stopping_always_ends(events: list[tuple[LifeEventName, float]]) -> None:
    """From wherever it is, a worker that is asked to go is killed after its deadlines, whatever it does."""
    life, now = Lifecycle(RULES), 0.0
    for name, elapsed in events:
        now += elapsed
        life, _ = step(life, LifeEvent(name), now)
    was_alive = life.state in ALIVE
    killed = False
    life, effects = after(life, "DRAIN_REQUESTED", now=now)
    while life.deadline is not None:
        life, effects = after(life, "DEADLINE_PASSED", now=life.deadline)
        killed = killed or KillGroup in kinds(effects)
    assert killed or not was_alive or life.state is State.STOPPING
    assert after(life, "EXITED", now=now)[0].state is State.EXITED
