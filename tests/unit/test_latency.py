"""What a latency histogram says, and which part of it is of the last minute."""

import pytest
from fastlb.supervisor.latency.percentiles import difference, percentile_ms, total
from fastlb.supervisor.latency.recent import LOOK_INTERVAL, LOOKS_KEPT, RecentLatencies

BUCKETS = 32


def histogram(**counts: int) -> list[int]:
    """Return counts by bucket: `b10=5` is five requests of 0.5 to 1 ms."""
    found = [0] * BUCKETS
    for name, count in counts.items():
        found[int(name[1:])] = count
    return found


@pytest.mark.parametrize(
    ("counts", "percent", "low_ms", "high_ms"),
    [
        (histogram(b10=100), 50, 0.512, 1.024),
        (histogram(b10=100), 99, 0.512, 1.024),
        (histogram(b10=98, b14=2), 50, 0.512, 1.024),
        (histogram(b10=98, b14=2), 99, 8.192, 16.384),
        (histogram(b10=99, b14=1), 99, 0.512, 1.024),
        (histogram(b0=1), 99, 0.0, 0.001),
        (histogram(b31=1), 50, 1_073_741, 2_147_484),
    ],
)
def test_percentile_lies_in_the_bucket_of_its_request(
    counts: list[int], percent: float, low_ms: float, high_ms: float
) -> None:
    found = percentile_ms(counts, percent)
    assert found is not None
    assert low_ms <= found <= high_ms


@pytest.mark.parametrize("nothing", [[], [0] * BUCKETS])
def test_nothing_has_no_percentile(nothing: list[int]) -> None:
    assert percentile_ms(nothing, 50) is None


def test_counts_that_fall_count_as_none() -> None:
    assert difference([5, 1], [3, 4]) == [2, 0]
    assert difference([5, 1], []) == [5, 1]


def test_histograms_are_added() -> None:
    assert total([[1, 2], [], [10, 20]]) == [11, 22]
    assert total([]) == []


def test_what_is_older_than_a_minute_counts_no_more() -> None:
    latencies = RecentLatencies()
    slow, quick = histogram(b20=50), histogram(b20=50, b10=7)
    latencies.note({1: slow}, 0.0)
    assert latencies.since(1, slow) == slow, "of a young process everything is recent"
    assert not latencies.is_due(LOOK_INTERVAL / 2)
    assert latencies.is_due(LOOK_INTERVAL)
    for look in range(1, LOOKS_KEPT):
        latencies.note({1: slow}, look * LOOK_INTERVAL)
    assert latencies.since(1, quick) == quick
    latencies.note({1: slow}, LOOKS_KEPT * LOOK_INTERVAL)
    assert latencies.since(1, quick) == histogram(b10=7)


def test_a_process_that_is_gone_is_forgotten() -> None:
    latencies = RecentLatencies()
    for look in range(LOOKS_KEPT + 1):
        latencies.note({1: histogram(b20=50)}, look * LOOK_INTERVAL)
    latencies.note({}, 100.0)
    assert latencies.since(1, histogram(b20=50)) == histogram(b20=50)
