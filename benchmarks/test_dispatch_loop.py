"""The dispatcher's CPU per connection against a plain C loop that makes the same system calls."""

import statistics

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.dispatch_cost import Contender, OurLoop, PlainLoop, cpu_per_connection_us

BUDGET = 1.1  # times the plain C loop
PAIRS = 7
CONNECTIONS = 2000


@pytest.mark.parametrize(("at_once", "per_message"), [(1, 16), (8, 16), (32, 16), (32, 4), (32, 1)])
def test_cpu_per_connection_beside_a_plain_c_loop(benchmark: BenchmarkFixture, at_once: int, per_message: int) -> None:
    ours_us: list[float] = []
    plain_us: list[float] = []

    def pair(ours: Contender, plain: Contender) -> None:
        ours_us.append(cpu_per_connection_us(ours, CONNECTIONS, at_once))
        plain_us.append(cpu_per_connection_us(plain, CONNECTIONS, at_once))

    with OurLoop(per_message) as ours, PlainLoop(per_message) as plain:
        benchmark.pedantic(pair, args=(ours, plain), rounds=PAIRS)  # type: ignore[no-untyped-call]
    ratio = statistics.median(mine / its for mine, its in zip(ours_us, plain_us, strict=True))
    benchmark.extra_info.update(
        cpu_us=round(statistics.median(ours_us), 2),
        plain_c_cpu_us=round(statistics.median(plain_us), 2),
        ratio=round(ratio, 2),
        budget=BUDGET,
    )
    print(f"\n{at_once} at once, {per_message} a message: {benchmark.extra_info}")
