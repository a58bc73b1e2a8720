"""How the dispatcher comes to know how long a worker's turns usually are, and how patient that makes it."""

from collections.abc import Iterable

import pytest
from fastlb.lb.turns import patience, usual

MS = 1_000_000
TIMEOUT = 5 * MS


def after(turns: Iterable[int], estimate: int = 0) -> int:
    for length in turns:
        estimate = usual(estimate, length, TIMEOUT)
    return estimate


@pytest.mark.parametrize("length", [MS // 2, 8 * MS, 5 * TIMEOUT])
def test_turns_of_one_length_are_known_exactly_before_long(length: int) -> None:
    assert after([length] * 40) == length
    assert after([length] * 150, 5 * TIMEOUT) == length


def test_estimate_begins_with_small_steps_and_goes_on_by_a_quarter() -> None:
    assert after([8 * MS]) == MS // 10
    assert after([8 * MS] * 2) == MS // 5
    assert usual(4 * MS, 8 * MS, TIMEOUT) == 5 * MS
    assert usual(4 * MS, 4 * MS + 1, TIMEOUT) == 4 * MS + 1


def test_estimate_falls_by_a_sixteenth_and_not_below_the_turn() -> None:
    assert usual(16 * MS, 0, TIMEOUT) == 15 * MS
    assert usual(16 * MS, 15 * MS + 1, TIMEOUT) == 15 * MS + 1
    assert usual(16 * MS, 16 * MS, TIMEOUT) == 16 * MS


@pytest.mark.parametrize(("long", "short", "is_long"), [(1, 2, True), (1, 6, False)])
def test_estimate_is_what_four_of_five_do_not_exceed(long: int, short: int, is_long: bool) -> None:
    turns = [*[8 * MS] * long, *[MS // 10] * short] * 60
    assert (after(turns) > 4 * MS) is is_long


def test_no_block_however_long_makes_it_patient_without_bound() -> None:
    assert after([3600 * 1000 * MS] * 1000) == 5 * TIMEOUT
    assert patience(after([3600 * 1000 * MS] * 1000), TIMEOUT) == 10 * TIMEOUT


def test_patience_is_two_turns_and_never_less_than_the_handover_timeout() -> None:
    assert patience(0, TIMEOUT) == TIMEOUT
    assert patience(2 * MS, TIMEOUT) == TIMEOUT
    assert patience(8 * MS, TIMEOUT) == 16 * MS
    assert patience(2**31, TIMEOUT) == 10 * TIMEOUT, "a claim"
