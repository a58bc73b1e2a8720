"""What one worker may get at a time."""

from fastlb.lb.command import WorkerBounds
from fastlb.supervisor.kinds import traits_of
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.workers.bounds import RESERVED_DESCRIPTORS, low_limit_warning, worker_bounds
from hypothesis import given
from hypothesis import strategies as st


def config(workers: int = 4, credit: int = 16, max_connections: int = 0) -> AppConfig:
    return AppConfig(target="a:b", name="a", workers=workers, credit=credit, max_connections=max_connections)


def bounds_of(app: AppConfig, workers: int, capacity: int, limit: int) -> WorkerBounds:
    return worker_bounds(app, traits_of(app), workers, capacity, limit)


def warning_of(app: AppConfig, limit: int) -> str | None:
    return low_limit_warning(app, traits_of(app), limit)


def test_settings_are_kept_when_there_are_descriptors_enough() -> None:
    assert bounds_of(config(max_connections=500), 4, 7, 65536) == (16, 7, 500)


def test_connections_are_bounded_by_the_descriptor_limit_without_a_setting() -> None:
    assert bounds_of(config(), 4, 0, 1024).max_connections == 1024 - RESERVED_DESCRIPTORS


@given(st.integers(1, 512), st.integers(1, 128), st.integers(16, 1 << 20))
def test_all_credits_of_two_generations_stay_below_a_quarter_of_the_limit(
    workers: int, credit: int, limit: int
) -> None:
    bounds = bounds_of(config(workers, credit), workers, 0, limit)
    assert bounds.credit >= 1
    assert bounds.credit == 1 or bounds.credit * workers * 2 <= limit // 4
    assert 1 <= bounds.max_connections <= limit


def test_warning_says_what_to_raise() -> None:
    warning = warning_of(config(workers=8), 256)
    assert warning is not None
    assert "ulimit -n 1024" in warning
    assert warning_of(config(workers=8), 1024) is None


def test_warning_for_more_connections_than_descriptors() -> None:
    warning = warning_of(config(max_connections=5000), 1024)
    assert warning is not None
    assert "5000" in warning
    assert warning_of(config(max_connections=500), 1024) is None


def test_default_credit_depends_on_what_runs_the_app() -> None:
    assert bounds_of(AppConfig(target="a:b", name="a"), 4, 0, 65536).credit == 16
    assert bounds_of(AppConfig(target="a.js", name="a"), 4, 0, 65536).credit == 2
    assert bounds_of(AppConfig(target="a.js", name="a", credit=9), 4, 0, 65536).credit == 9


def test_node_worker_is_bounded_by_descriptors_only_where_a_number_is_given() -> None:
    assert bounds_of(AppConfig(target="a.js", name="a"), 4, 0, 1024).max_connections == 0
    given = AppConfig(target="a.js", name="a", max_connections=5000)
    assert bounds_of(given, 4, 0, 1024).max_connections == 1024 - RESERVED_DESCRIPTORS
    assert warning_of(AppConfig(target="a.js", name="a", workers=8), 1024) is None
    assert "2:" in str(warning_of(AppConfig(target="a.js", name="a", workers=8), 64))
