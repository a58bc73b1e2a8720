"""Who counts as hung, and when the watcher itself was away."""

import pytest
from fastlb.supervisor.processes.hang import NS, AnswerWatch, Attention, HangLimits, WorkerWatch

LIMITS = HangLimits(hang_timeout=30.0, request_timeout=10.0)


def watched_for(seconds: int, *, heartbeat: bool = False, oldest_request: float = 0.0) -> str | None:
    """The last judgement after looking once a second."""
    attention, watch, verdict = Attention(1.0, now=100.0), WorkerWatch(LIMITS), None
    for second in range(seconds):
        elapsed = attention.look(101.0 + second)
        heartbeat_ns = second if heartbeat else 7
        verdict = watch.judge(heartbeat_ns, int(oldest_request * NS), elapsed, attention)
    return verdict


def test_silent_worker_hangs_after_hang_timeout_and_not_before() -> None:
    assert watched_for(30) is None
    verdict = watched_for(31)
    assert verdict is not None
    assert "hang_timeout" in verdict


def test_worker_with_a_heartbeat_does_not_hang() -> None:
    assert watched_for(100, heartbeat=True) is None


def test_old_request_counts_although_the_heart_beats() -> None:
    assert watched_for(9, heartbeat=True, oldest_request=100.0) is None
    verdict = watched_for(10, heartbeat=True, oldest_request=100.0)
    assert verdict is not None
    assert "request_timeout" in verdict


def test_zero_means_never() -> None:
    attention, watch = Attention(1.0, now=0.0), WorkerWatch(HangLimits(0.0, 0.0))
    for second in range(1000):
        assert watch.judge(1, 1, attention.look(float(second)), attention) is None


def test_time_in_which_the_supervisor_slept_is_held_against_nobody() -> None:
    attention, watch = Attention(1.0, now=100.0), WorkerWatch(LIMITS)
    started = int(100.5 * NS)
    assert watch.judge(7, started, attention.look(101.0), attention) is None
    assert watch.judge(7, started, attention.look(100_000.0), attention) is None, "suspended for a day"
    for second in range(6):
        assert watch.judge(7, started, attention.look(100_001.0 + second), attention) is None
    assert watch.judge(7, started, attention.look(100_010.0), attention) is not None


def test_claimed_request_from_the_future_is_no_reason() -> None:
    attention, watch = Attention(1.0, now=100.0), WorkerWatch(LIMITS)
    assert watch.judge(1, 10**18, attention.look(101.0), attention) is None


def test_dispatcher_is_asked_again_only_after_its_answer() -> None:
    answers = AnswerWatch(5.0)
    token = answers.next_question()
    assert token is not None
    assert answers.next_question() is None
    answers.answered(token)
    assert answers.next_question() == token + 1


def test_answer_to_an_older_question_is_none() -> None:
    answers = AnswerWatch(5.0)
    answers.answered(answers.next_question() or 0)
    newer = answers.next_question()
    answers.answered((newer or 0) - 1)
    assert answers.next_question() is None


@pytest.mark.parametrize(("elapsed", "overdue"), [(4.9, False), (5.0, True)])
def test_missing_answer_is_overdue_after_its_timeout(elapsed: float, overdue: bool) -> None:
    answers = AnswerWatch(5.0)
    answers.next_question()
    assert answers.is_overdue(elapsed) is overdue


def test_answer_is_late_when_it_was_not_there_at_the_next_look() -> None:
    answers = AnswerWatch(5.0)
    token = answers.next_question()
    assert not answers.is_late, "it has just been asked"
    answers.is_overdue(1.0)
    assert answers.is_late
    answers.answered(token or 0)
    assert not answers.is_late


def test_dispatcher_that_was_asked_nothing_owes_nothing() -> None:
    assert not AnswerWatch(5.0).is_overdue(100.0)
