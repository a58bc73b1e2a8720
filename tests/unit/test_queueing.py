"""The simulation of waiting serves every request, and waits as the ideal does where the ideal is known."""

import pytest
from fastlb.lb.command import Policy

from benchmarks.queueing import Dispatcher, Job, single_queue

# three requests at once for two workers, the second one long: the third waits for the first
AT_ONCE = [Job(0.0, 1.0), Job(0.0, 10.0), Job(0.0, 1.0)]


@pytest.mark.parametrize("has_places", [True, False])
@pytest.mark.parametrize("policy", [Policy.ROUND_ROBIN, Policy.LEAST_CONNECTIONS])
def test_who_waits_goes_to_the_worker_that_is_free_first(policy: Policy, has_places: bool) -> None:
    waits = Dispatcher(2, policy, has_places).run(iter(AT_ONCE))
    assert waits.p99 == pytest.approx(1.0, abs=0.2)
    assert single_queue(iter(AT_ONCE), 2).p99 == 1.0
