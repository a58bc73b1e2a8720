"""Owns the measuring: servers side by side, loads in turn, medians."""

import statistics
import time

import msgspec

from tests.support import processes

from .loads import Load, Measured
from .rows import Medians, Outcome, Row
from .running import RunningServer
from .servers import OURS, SERVERS

WARM_UP_SECONDS = 1.0


class Sample(msgspec.Struct, frozen=True):
    """One run of a load against one server."""

    measured: Measured
    cpu_us: float
    balancer_us: float


Samples = dict[str, list[Sample]]


def measure_row(row: Row, pairs: int, seconds: float) -> Samples:
    """Start every server of a row, then load them in turn, `pairs` times; the order turns round each time."""
    running: dict[str, RunningServer] = {}
    samples: Samples = {}
    try:
        for name in [name for name in row.servers if SERVERS[name].is_installed()]:
            running[name] = SERVERS[name].start(row.service)
            row.load(WARM_UP_SECONDS)(running[name].address)
        for number in range(pairs):
            names = list(running) if number % 2 == 0 else list(reversed(running))
            for name in names:
                sample = take_sample(running[name], row.load(seconds))
                samples.setdefault(name, []).append(sample)
                print(f"{row.key} {number + 1}/{pairs} {name}: {describe(sample)}", flush=True)
    finally:
        for server in running.values():
            server.stop()
    return samples


def take_sample(server: RunningServer, load: Load) -> Sample:
    """Run a load and charge its CPU to its requests."""
    pids = server.pids()
    all_before, balancer_before = processes.cpu_seconds(*pids), balancer_ns(server)
    measured = load(server.address)
    assert set(pids) <= set(server.pids()), "a server lost a process under load, and its CPU time with it"
    cpu = processes.cpu_seconds(*pids) - all_before
    balancer = balancer_ns(server) - balancer_before
    return Sample(measured, cpu * 1e6 / measured.requests, balancer / 1e3 / measured.requests)


def balancer_ns(server: RunningServer) -> int:
    """Return the CPU time of the processes that only distribute."""
    return processes.cpu_nanoseconds(*server.balancer_pids)


def medians(samples: list[Sample]) -> Medians:
    """Return the medians of one server's samples."""
    return Medians(
        per_second=statistics.median(s.measured.per_second for s in samples),
        cpu_us=statistics.median(s.cpu_us for s in samples),
        p50_ms=statistics.median(s.measured.p50_ms for s in samples),
        p99_ms=statistics.median(s.measured.p99_ms for s in samples),
        failed=sum(s.measured.failed for s in samples),
        balancer_us=statistics.median(s.balancer_us for s in samples),
        stranded_per_block=median_stranded(samples),
    )


def median_stranded(samples: list[Sample]) -> float | None:
    """Return the median of the stranded requests a block; None of a load without blocks."""
    known = [s.measured.stranded_per_block for s in samples if s.measured.stranded_per_block is not None]
    return statistics.median(known) if known else None


def latency_counts(samples: Samples) -> dict[str, list[int]]:
    """Return of each server how many requests took so many milliseconds; none of a load that does not note it."""
    noted = {name: [s.measured.by_millisecond for s in found] for name, found in samples.items()}
    return {name: [sum(column) for column in zip(*found, strict=True)] for name, found in noted.items() if any(found)}


def outcome_of(samples: Samples) -> Outcome:
    """Return medians, and ratios when ours is among the servers."""
    others = [name for name in samples if OURS in samples and name != OURS]
    ratios = {name: ratio(samples[OURS], samples[name]) for name in others}
    return Outcome({name: medians(found) for name, found in samples.items()}, ratios)


def ratio(ours: list[Sample], other: list[Sample]) -> float:
    """Return the median over the pairs of our throughput by the other's."""
    pairs = zip(ours, other, strict=True)
    return statistics.median(a.measured.per_second / b.measured.per_second for a, b in pairs)


def describe(sample: Sample) -> str:
    """Return a sample as one line."""
    seen = sample.measured
    cost = f"{sample.cpu_us:.1f} us/request (balancer {sample.balancer_us:.1f})"
    stranded = "" if seen.stranded_per_block is None else f", {seen.stranded_per_block:.2f} stranded a block"
    return f"{seen.per_second:,.0f}/s, {cost}, p99 {seen.p99_ms:.2f} ms, {seen.failed} failed{stranded}"


class Footprint(msgspec.Struct, frozen=True):
    """What our own processes cost when an app of two workers is running."""

    supervisor_pss_mib: float
    dispatcher_pss_mib: float
    list_seconds: float


def measure_footprint(runs: int = 15) -> Footprint:
    """Measure the memory of supervisor and dispatcher, and `fastlb list`."""
    from tests.support.fastlb_process import Fastlb

    with Fastlb() as fastlb:
        app = fastlb.start("asgi_probe:app", "--workers", "2")
        app.get()
        supervisor, dispatcher = app.supervisor_pid, app.dispatcher_pid
        walls = []
        for _ in range(runs):
            began = time.perf_counter()
            fastlb.ok("list")
            walls.append(time.perf_counter() - began)
        mib = [processes.pss_bytes(pid) / 2**20 for pid in (supervisor, dispatcher)]
    return Footprint(mib[0], mib[1], statistics.median(walls))
