"""Owns the loads: wrk or ab when the machine has them, else our own generator. One kind of measurement."""

import re
import shutil
import subprocess
from collections.abc import Callable

import msgspec

from tests.support.load_plan import Plan, Report
from tests.support.load_process import LoadProcess, run_load

Address = tuple[str, int]
UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
UNEVEN_CLIENTS = 15
# Less than a block of 50 ms (apps/), more than any request takes that waits for none.
STRANDED_AFTER = 0.02


class Measured(msgspec.Struct, frozen=True):
    """What the client saw.

    Attributes:
        stranded_per_block: of the load `uneven`: requests of others that waited for one that blocked, by the
            number of blocks; None of other loads.
        by_millisecond: of the same load: how many requests of others took so many milliseconds.
    """

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int
    stranded_per_block: float | None = None
    by_millisecond: list[int] = []


Load = Callable[[Address], Measured]


def keep_alive(clients: int, seconds: float) -> Load:
    """Requests one after the other on connections that stay."""
    return lambda address: steady(address, clients, seconds, True)


def new_connections(clients: int, seconds: float) -> Load:
    """A connection for each request."""
    return lambda address: steady(address, clients, seconds, False)


def uneven(seconds: float) -> Load:
    """One client asks for 50 ms of blocking work, again and again; 15 others, for nothing, are measured.

    All of them on a new connection each time, so that the policy places each block anew. A client that waits sends
    nothing meanwhile, so that its percentiles say little: those who had to wait are counted, by the number of blocks.
    """

    def run(address: Address) -> Measured:
        with LoadProcess(Plan(address=address, path="/block", clients=1)) as blocker:
            plan = Plan(address=address, clients=UNEVEN_CLIENTS, seconds=seconds, slow_after=STRANDED_AFTER)
            report = run_load(plan)
        return measured(report, stranded_per_block=(report.slow + report.failed) / max(blocker.report.ok, 1))

    return run


def counted(requests: int, clients: int) -> Load:
    """`ab -n REQUESTS -c CLIENTS`."""

    def run(address: Address) -> Measured:
        if not shutil.which("ab"):
            return own_generator(Plan(address=address, clients=clients, requests=requests))
        url = f"http://{address[0]}:{address[1]}/"
        # -l: the length of an answer may vary, as with an app that tells its pid.
        return parse_ab(run_tool(["ab", "-q", "-l", "-n", str(requests), "-c", str(clients), url]))

    return run


def steady(address: Address, clients: int, seconds: float, keep: bool) -> Measured:
    """Load for some seconds, by the best tool there is."""
    if not shutil.which("wrk"):
        return own_generator(Plan(address=address, clients=clients, seconds=seconds, keep_alive=keep))
    header = [] if keep else ["-H", "Connection: close"]
    url = f"http://{address[0]}:{address[1]}/"
    return parse_wrk(run_tool(["wrk", "-t1", f"-c{clients}", f"-d{seconds:g}s", "--latency", *header, url]))


def own_generator(plan: Plan) -> Measured:
    """Load by tests.support.load."""
    return measured(run_load(plan))


def measured(report: Report, stranded_per_block: float | None = None) -> Measured:
    """Return what our own generator saw."""
    per_second = report.requests / report.seconds
    seen = (report.requests, per_second, report.p50_ms, report.p99_ms, report.failed)
    return Measured(*seen, stranded_per_block, [] if stranded_per_block is None else report.by_millisecond)


def run_tool(command: list[str]) -> str:
    """Return the output of a load tool."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def parse_wrk(text: str) -> Measured:
    """Read wrk's report."""
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    bad_status = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failed = sum(int(count) for found in (errors, bad_status) if found for count in found.groups())
    return Measured(
        requests=int(number(r"(\d+) requests in", text)),
        per_second=number(r"Requests/sec:\s+([\d.]+)", text),
        p50_ms=milliseconds(r"50%\s+([\d.]+)(us|ms|s|m)", text),
        p99_ms=milliseconds(r"99%\s+([\d.]+)(us|ms|s|m)", text),
        failed=failed,
    )


def parse_ab(text: str) -> Measured:
    """Read ab's report."""
    bad_status = re.search(r"Non-2xx responses:\s+(\d+)", text)
    return Measured(
        requests=int(number(r"Complete requests:\s+(\d+)", text)),
        per_second=number(r"Requests per second:\s+([\d.]+)", text),
        p50_ms=number(r"\n\s+50%\s+(\d+)", text),
        p99_ms=number(r"\n\s+99%\s+(\d+)", text),
        failed=int(number(r"Failed requests:\s+(\d+)", text)) + (int(bad_status[1]) if bad_status else 0),
    )


def number(pattern: str, text: str) -> float:
    """Return the first group of the pattern as a number."""
    found = re.search(pattern, text)
    assert found, f"no {pattern!r} in\n{text}"
    return float(found[1])


def milliseconds(pattern: str, text: str) -> float:
    """Return a time with its unit in milliseconds."""
    found = re.search(pattern, text)
    assert found, f"no {pattern!r} in\n{text}"
    return float(found[1]) * UNITS_MS[found[2]]
