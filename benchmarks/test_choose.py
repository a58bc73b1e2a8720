"""What a choice costs, by policy and number of workers: the loop's own code, in a C loop of CHOICES."""

import pytest
from fastlb.lb.command import Policy
from fastlb.lb.policy import PolicyTable
from pytest_benchmark.fixture import BenchmarkFixture

CHOICES = 10_000


@pytest.mark.parametrize("workers", [1, 8, 64, 256])
@pytest.mark.parametrize("policy", Policy, ids=lambda policy: policy.name.lower())
def test_choose(benchmark: BenchmarkFixture, policy: Policy, workers: int) -> None:
    table = PolicyTable(list(range(workers)), [1] * workers, list(range(workers)))
    benchmark.extra_info["unit"] = f"{CHOICES} choices"
    assert benchmark(table.choose_many, policy, CHOICES) > 0
