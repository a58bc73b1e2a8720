"""Owns a simulation of waiting: how long clients wait, by where they do. Measures nothing of this machine.

    python -m benchmarks.queueing            writes the tables between the marks of docs/balancing.md

Workers serve one request at a time (WSGI with one thread). Ours is simulated with the policy's own compiled code
(lb/policy.pxd): one queue in the kernel, a waiting place in the channel of each full worker, and what waits there goes
to another worker as soon as that is free, the oldest first. What passes through the dispatcher takes HANDOVER longer.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from pathlib import Path
from random import Random

import msgspec
from fastlb.lb.command import Policy
from fastlb.lb.policy import PolicyTable

PAGE = Path(__file__).resolve().parents[1] / "docs" / "balancing.md"
BEGIN, END = "<!-- simulation: python -m benchmarks.queueing -->\n", "<!-- end of simulation -->\n"
JOBS, SEED = 300_000, 20240601  # with 100,000 the means of one system differ by a tenth from seed to seed
WORKERS, LOADS = (12, 64, 256), (0.7, 0.9)
# Milliseconds, as are all times here: the way of a connection through the dispatcher to a worker that waits for it, by
# `python -m benchmarks.handover_time`.
HANDOVER = 0.02

Draw = Callable[[Random], float]


def exponential(random: Random) -> float:
    """Return a service time: 2 ms in the mean."""
    return random.expovariate(0.5)


def bimodal(random: Random) -> float:
    """Return a service time: 1 ms, or once in 50 requests 50 ms."""
    return 50.0 if random.random() < 0.02 else 1.0


SERVICE_TIMES: dict[str, tuple[Draw, float]] = {"exponential": (exponential, 2.0), "bimodal 1:50": (bimodal, 1.98)}


class Job(msgspec.Struct):
    """One request."""

    arrival: float
    service: float


class Waits(msgspec.Struct, frozen=True):
    """Mean and 99th percentile of the waiting times."""

    mean: float
    p99: float


def jobs_of(draw: Draw, mean: float, workers: int, load: float) -> Iterator[Job]:
    """Yield the same requests for every system: independent clients (Poisson), as the load demands."""
    random, now = Random(SEED), 0.0
    for _ in range(JOBS):
        now += random.expovariate(load * workers / mean)
        yield Job(now, draw(random))


def waits_of(waited: list[float]) -> Waits:
    """Return what is shown of the waiting times."""
    waited.sort()
    return Waits(sum(waited) / len(waited), waited[len(waited) * 99 // 100])


def single_queue(jobs: Iterator[Job], workers: int) -> Waits:
    """The ideal: one queue, and the next client is with a free worker in no time."""
    free_at = [0.0] * workers
    waited = []
    for job in jobs:
        begin = max(job.arrival, heappop(free_at))
        waited.append(begin - job.arrival)
        heappush(free_at, begin + job.service)
    return waits_of(waited)


def reuse_port(jobs: Iterator[Job], workers: int) -> Waits:
    """SO_REUSEPORT: a queue for each worker, and the kernel's hash of the client's address chooses."""
    random, free_at = Random(SEED + 1), [0.0] * workers
    waited = []
    for job in jobs:
        worker = random.randrange(workers)
        begin = max(job.arrival, free_at[worker])
        waited.append(begin - job.arrival)
        free_at[worker] = begin + job.service
    return waits_of(waited)


class Dispatcher:
    """Ours. `has_places`: one waits for each full worker; else all wait in the kernel until a worker is free."""

    def __init__(self, workers: int, policy: Policy, has_places: bool) -> None:
        self._table = PolicyTable(list(range(workers)), [1] * workers, [0] * workers)
        self._policy = policy
        self._has_places = has_places
        self._backlog: deque[Job] = deque()
        self._places: dict[int, Job] = {}  # by worker, the oldest first
        self._busy: set[int] = set()
        self._workers = workers
        self._changed = set(range(workers))  # since the table was last told
        self._ends: list[tuple[float, int]] = []
        self._waited: list[float] = []

    def run(self, jobs: Iterator[Job]) -> Waits:
        """Serve all of them."""
        for job in jobs:
            while self._ends and self._ends[0][0] <= job.arrival:
                self._on_end(*heappop(self._ends))
            self._backlog.append(job)
            self._dispatch(job.arrival)
        while self._ends:
            self._on_end(*heappop(self._ends))
        return waits_of(self._waited)

    def _on_end(self, now: float, worker: int) -> None:
        self._busy.discard(worker)
        self._changed.add(worker)
        own = self._places.pop(worker, None)
        if own is not None:
            self._serve(worker, own, now)  # it lies in the worker's channel
        elif self._places:
            holder = next(iter(self._places))
            self._changed.add(holder)
            self._serve(worker, self._places.pop(holder), now + HANDOVER)
        self._dispatch(now)

    def _serve(self, worker: int, job: Job, begin: float) -> None:
        self._busy.add(worker)
        self._waited.append(begin - job.arrival)
        heappush(self._ends, (begin + job.service, worker))

    def _dispatch(self, now: float) -> None:
        while self._backlog and (worker := self._choose()) >= 0:
            job = self._backlog.popleft()
            if worker in self._busy:
                self._places[worker] = job
            else:
                self._serve(worker, job, now + HANDOVER)

    def _choose(self) -> int:
        if len(self._busy) == self._workers and not (self._has_places and len(self._places) < self._workers):
            return -1
        for worker in self._changed:
            is_busy, place_is_taken = worker in self._busy, worker in self._places
            may_wait = self._has_places and is_busy and not place_is_taken
            self._table.refresh(worker, not is_busy, is_busy + place_is_taken, may_wait)
        self._changed.clear()
        if len(self._busy) == self._workers:
            self._table.open_waiting_places()
            self._changed.update(range(self._workers))
        chosen, _ = self._table.choose(self._policy)
        self._changed.add(chosen)
        return chosen


Simulated = Callable[[Iterator[Job], int], Waits]
SYSTEMS: dict[str, Simulated] = {
    "single queue": single_queue,
    "round-robin": lambda jobs, workers: Dispatcher(workers, Policy.ROUND_ROBIN, True).run(jobs),
    "least-connections": lambda jobs, workers: Dispatcher(workers, Policy.LEAST_CONNECTIONS, True).run(jobs),
    "without waiting places": lambda jobs, workers: Dispatcher(workers, Policy.ROUND_ROBIN, False).run(jobs),
    "SO_REUSEPORT": reuse_port,
}


def table() -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"| mean (99th percentile), ms | {' | '.join(SYSTEMS)} |"
    yield "|---|" + "---:|" * len(SYSTEMS)
    for name, (draw, mean) in SERVICE_TIMES.items():
        for workers in WORKERS:
            for load in LOADS:
                found = [system(jobs_of(draw, mean, workers, load), workers) for system in SYSTEMS.values()]
                cells = [f"{waits.mean:.3f} ({waits.p99:.2f})" for waits in found]
                yield f"| {name}, {workers} workers, {load:.0%} | {' | '.join(cells)} |"


def main() -> int:
    """Write the table into the page."""
    before, rest = PAGE.read_text().split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n" + "\n".join(table()) + f"\n\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
