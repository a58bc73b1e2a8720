"""How many workers the load asks for: steps, ramps, noise, waves and herds, with a clock passed in."""

import pytest
from fastlb.supervisor.autoscaling.judge import Sample, Situation, decide
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.kinds import traits_of
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.settings.declared import check_config
from fastlb.supervisor.settings.scaling import ScalingPlan, first_workers

from tests.support.scaling_simulation import MIB, PLAN, Simulation, herd, noise, ramp, step_at, wave


def test_load_that_fits_changes_nothing() -> None:
    assert Simulation(lambda now: 70.0).run(3600).steps == []
    assert Simulation(lambda now: 79.0 * 4, workers=4).run(3600).sizes == []


def test_step_is_followed_within_a_minute_and_never_taken_back() -> None:
    simulation = Simulation(step_at(60, 20, 400)).run(3600)
    assert simulation.turns <= 1
    assert 400 / simulation.workers <= PLAN.cpu
    assert simulation.workers <= 400 / (PLAN.cpu * 0.75) + 1
    reached = next(at for at, _, found in simulation.steps if found.workers >= 5)
    assert reached - 60 <= 60


def test_ramp_up_and_down_has_one_turn() -> None:
    simulation = Simulation(ramp(500, 1200)).run(2600)
    assert simulation.turns == 1
    assert max(simulation.sizes) <= 9
    assert simulation.workers == 1


@pytest.mark.parametrize("mean", [60, 75, 150, 310])
def test_noise_makes_no_flapping(mean: float) -> None:
    simulation = Simulation(noise(mean, mean / 4)).run(3600)
    assert simulation.turns <= 1
    assert len(simulation.steps) <= 4


def test_wave_that_is_quicker_than_the_cooldown_is_ridden_out() -> None:
    simulation = Simulation(wave(200, 150, 40)).run(3600)
    assert simulation.turns <= 1


def test_wave_of_half_an_hour_is_followed() -> None:
    simulation = Simulation(wave(250, 200, 1800)).run(4 * 1800)
    assert 6 <= simulation.turns <= 8
    assert max(simulation.sizes) >= 5
    assert min(simulation.sizes) <= 2


def test_herd_goes_to_the_most_in_doubles_and_home_again() -> None:
    simulation = Simulation(herd(100, 400)).run(1200)
    assert simulation.sizes[:4] == [2, 4, 8, 16]
    assert (simulation.turns, simulation.workers) == (1, 1)


def test_worker_that_is_saturated_tells_nothing_of_what_waits() -> None:
    found = decide(samples_of(cpu=100, workers=3), PLAN, Situation(3, 0.0))
    assert (found.kind, found.workers) == ("up", 6)


def samples_of(workers: int, cpu: float, busy: float | None = None, seconds: int = 61) -> list[Sample]:
    return [Sample(float(at), workers, cpu, busy, 100 * MIB) for at in range(1, seconds + 1)]


@pytest.mark.parametrize(
    ("memory", "share", "kind", "workers"),
    [
        (4096 * MIB, 80, "up", 6),
        (500 * MIB, 80, "up", 4),
        (400 * MIB, 80, "held", 3),
        (400 * MIB, 0, "up", 6),
        (0, 80, "up", 6),
        (100 * MIB, 80, "held", 3),
    ],
)
def test_memory_is_a_brake_and_never_a_reason(memory: int, share: int, kind: str, workers: int) -> None:
    plan = ScalingPlan(minimum=1, maximum=6, memory=share)
    found = decide(samples_of(3, 100), plan, Situation(3, 0.0, memory))
    assert (found.kind, found.workers) == (kind, workers)
    idle = decide(samples_of(3, 70), plan, Situation(3, 0.0, memory))
    assert (idle.kind, idle.workers) == ("stay", 3)


def test_busy_threads_count_as_much_as_a_busy_core() -> None:
    found = decide(samples_of(2, cpu=3, busy=90), PLAN, Situation(2, 0.0))
    assert (found.kind, found.workers) == ("up", 3)
    assert found.reason == "busy 90 % is above 80 %"
    assert decide(samples_of(4, cpu=3, busy=70), PLAN, Situation(4, 0.0)).kind == "stay", "no CPU is no reason to go"


def test_nothing_is_decided_so_soon_after_a_change() -> None:
    up, down = samples_of(2, 100), samples_of(8, 1)
    assert decide(up, PLAN, Situation(2, 55.0)).kind == "stay"
    assert decide(up, PLAN, Situation(2, 50.0)).kind == "up"
    assert decide(down, PLAN, Situation(8, 10.0)).kind == "stay"
    assert decide(down, PLAN, Situation(8, 0.0)).workers == 1


def test_bounds_hold_without_any_load() -> None:
    plan = ScalingPlan(minimum=2, maximum=6)
    assert decide([], plan, Situation(1, 0.0)).workers == 2
    assert decide([], plan, Situation(9, 0.0)).workers == 6
    assert decide(samples_of(6, 100), plan, Situation(6, 0.0)).kind == "stay"
    assert decide(samples_of(2, 0), plan, Situation(2, 0.0)).kind == "stay"


def test_samples_are_few_however_long_the_cooldown() -> None:
    plan = ScalingPlan(minimum=1, maximum=2, down_cooldown=86400)
    assert plan.samples_kept <= 601


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"min_instances": 2}, "give it too"),
        ({"min_instances": 3, "max_instances": 2}, "more than --max-instances 2"),
        ({"workers": 3, "max_instances": 2}, "more than --max-instances 2"),
        ({"max_instances": 2, "scale_cpu": 0, "scale_busy": 0}, "nothing is looked at"),
        ({"max_instances": 2, "exec_mode": "fork"}, "fork-mode app"),
    ],
)
def test_contradictions_are_refused(settings: dict[str, object], words: str) -> None:
    config = AppConfig(target="shop.py", name="shop", interpreter="python3", **settings)  # type: ignore[arg-type]
    if "exec_mode" not in settings:
        config = AppConfig(target="shop:app", name="shop", **settings)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=words):
        check_config(config, traits_of(config))


@pytest.mark.parametrize(("workers", "first"), [(1, 2), (2, 2), (4, 4)])
def test_app_begins_within_its_bounds(workers: int, first: int) -> None:
    config = AppConfig(target="shop:app", name="shop", workers=workers, min_instances=2, max_instances=4)
    assert first_workers(config) == first
