"""Which workers do not run at first: those that were stopped alone, as far as the app still has them."""

import pytest
from fastlb.supervisor.home.app_lock import AppLock
from fastlb.supervisor.launch.messages import LaunchRequest
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.succession.tenure import Tenure


@pytest.mark.parametrize(
    ("workers", "stopped", "expected"),
    [(4, [], []), (4, [3], [3]), (4, [0, 2], [0, 2]), (2, [3], []), (3, [1, 7], [1]), (2, [0, 1], [])],
)
def test_numbers_that_the_app_has_no_more_are_forgotten(
    workers: int, stopped: list[int], expected: list[int]
) -> None:
    config = AppConfig(target="app:app", name="shop", workers=workers)
    tenure = Tenure(LaunchRequest(config=config, home="/", lock_fd=-1, stopped=stopped), AppLock(-1))
    assert tenure.stopped == expected
