"""Who goes when the cgroup's memory is nearly used up, and how often."""

from pathlib import Path

import pytest
from fastlb.supervisor.limits.judge import FIRST_PAUSE
from fastlb.supervisor.limits.pressure import Candidate, CgroupPressure, Tightness, judge_pressure, tightest

from .test_oom_kills import MIB, cgroup_v2

TIGHT = Tightness(used_bytes=460 * MIB, limit_bytes=512 * MIB)
NEW = 40 * MIB


def candidate(name: str, memory_mib: int) -> Candidate[str]:
    return Candidate(name, memory_mib * MIB, NEW)


def test_largest_goes_and_it_is_said_why() -> None:
    found = judge_pressure(TIGHT, [candidate("a", 100), candidate("b", 300), candidate("c", 60)])
    assert found
    worker, verdict = found
    assert worker == "b"
    assert verdict.reason == "its cgroup uses 460M of 512M of memory, it alone 300M (cgroup_memory_restart)"
    assert (verdict.is_memory, verdict.is_of_cgroup, verdict.is_urgent) == (True, True, False)


def test_nobody_goes_who_has_not_grown() -> None:
    assert judge_pressure(TIGHT, [candidate("a", 49), candidate("b", 40)]) is None
    assert judge_pressure(TIGHT, []) is None


@pytest.mark.parametrize(("workers", "room_mib", "is_urgent"), [(2, 39, True), (2, 41, False), (1, 39, False)])
def test_it_goes_at_once_without_room_for_another_if_others_serve(
    workers: int, room_mib: int, is_urgent: bool
) -> None:
    tightness = Tightness((512 - room_mib) * MIB, 512 * MIB)
    found = judge_pressure(tightness, [candidate("a", 300), candidate("b", 200)][:workers])
    assert found
    assert found[1].is_urgent is is_urgent


def test_fullest_cgroup_counts_and_files_that_can_be_dropped_do_not(tmp_path: Path) -> None:
    limit = str(100 * MIB)
    own = cgroup_v2(tmp_path / "own", limit=limit, usage=95 * MIB, inactive=10 * MIB)
    above = cgroup_v2(tmp_path / "above", limit=limit, usage=95 * MIB, inactive=2 * MIB)
    free = cgroup_v2(tmp_path / "free", usage=500 * MIB)
    assert CgroupPressure(90, [own, free]).look(0.0) is None
    assert CgroupPressure(90, [own, above, free]).look(0.0) == Tightness(93 * MIB, 100 * MIB)
    assert CgroupPressure(0, [above]).look(0.0) is None
    assert tightest([own, above, free]) == {
        "cgroup": str(tmp_path / "above"),
        "cgroup_limit": "100M",
        "cgroup_used": "93M",
    }
    assert tightest([free]) == {}


def test_pause_doubles_until_it_has_helped(tmp_path: Path) -> None:
    def fill(usage_mib: int) -> None:
        cgroup_v2(tmp_path, limit=str(100 * MIB), usage=usage_mib * MIB)

    pressure = CgroupPressure(90, [cgroup_v2(tmp_path)])
    fill(95)
    assert pressure.look(0.0)
    pressure.note_verdict(0.0)
    assert pressure.look(FIRST_PAUSE - 1) is None
    assert pressure.look(FIRST_PAUSE)
    pressure.note_verdict(100.0)
    assert pressure.look(100.0 + FIRST_PAUSE) is None
    assert pressure.look(100.0 + 2 * FIRST_PAUSE)
    fill(50)
    assert pressure.look(200.0) is None
    fill(95)
    pressure.note_verdict(300.0)
    assert pressure.look(300.0 + FIRST_PAUSE)
