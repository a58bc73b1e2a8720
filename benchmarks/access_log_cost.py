"""What the access log adds to a request, beside uvicorn, gunicorn and granian. `python -m benchmarks.access_log_cost`

Each server runs twice, with its access log and without; both are loaded in turn, and the CPU of all their processes, by
the number of requests, is compared pair by pair. Ours goes to a file, by way of the supervisor, which is counted; the
others' goes to /dev/null, which is the cheapest there is: who collects their lines is not counted.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import msgspec

from benchmarks.compare.loads import Load, keep_alive, new_connections
from benchmarks.compare.measuring import WARM_UP_SECONDS, take_sample
from benchmarks.compare.rows import CLIENTS
from benchmarks.compare.running import RunningServer, Service
from benchmarks.compare.servers import OURS, SERVERS
from benchmarks.machine import describe_machine

RESULTS = Path(__file__).parent / "results" / "access_log.md"
BUDGET_US = 3.0
GUNICORNS_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
ACCESS_FILE = str(Path(tempfile.gettempdir()) / "fastlb-bench-access.log")
ASGI = Service(app="hello_asgi")
WSGI = Service(app="hello_wsgi", interface="wsgi", threads=8)
WSGI_SYNC = Service(app="hello_wsgi", interface="wsgi")


class Case(msgspec.Struct, frozen=True):
    """A server and what it is asked for. `options`: of ours, what the log is to be besides being on."""

    server: str
    title: str
    service: Service
    options: tuple[str, ...] = ()
    keeps_connections: bool = True

    def load(self, seconds: float) -> Load:
        """Return the load."""
        return (keep_alive if self.keeps_connections else new_connections)(CLIENTS, seconds)


class Found(msgspec.Struct, frozen=True):
    """CPU a request, microseconds: without the log, and what it adds in each pair."""

    case: Case
    without_us: float
    added_us: list[float]

    @property
    def median_us(self) -> float:
        """What it adds."""
        return statistics.median(self.added_us)


CASES = (
    Case(OURS, "ASGI", ASGI),
    Case(OURS, "ASGI, gunicorn's format", ASGI, ("--access-log-format", GUNICORNS_FORMAT)),
    Case(OURS, "ASGI, JSON", ASGI, ("--access-log-format", "json")),
    Case(OURS, "ASGI, a file of its own", ASGI, ("--access-file", ACCESS_FILE)),
    Case("uvicorn", "ASGI", ASGI),
    Case("gunicorn", "ASGI, uvicorn's worker", ASGI),
    Case("granian", "ASGI", ASGI),
    Case(OURS, "WSGI, 8 threads", WSGI),
    Case(OURS, "WSGI, 8 threads, gunicorn's format", WSGI, ("--access-log-format", GUNICORNS_FORMAT)),
    Case(OURS, "WSGI, 8 threads, JSON", WSGI, ("--access-log-format", "json")),
    Case("gunicorn", "WSGI, gthread, 8 threads", WSGI),
    Case("granian", "WSGI, 8 threads", WSGI),
    Case(OURS, "WSGI, one thread, new connections", WSGI_SYNC, keeps_connections=False),
    Case("gunicorn", "WSGI, sync, new connections", WSGI_SYNC, keeps_connections=False),
)


def measure(case: Case, pairs: int, seconds: float) -> Found:
    """Start a server twice, and load both in turn; the order turns round each time."""
    logged = msgspec.structs.replace(case.service, access_log=True, log_options=case.options)
    running: list[RunningServer] = []
    samples: tuple[list[float], list[float]] = ([], [])
    try:
        for service in (case.service, logged):
            running.append(SERVERS[case.server].start(service))
            case.load(WARM_UP_SECONDS)(running[-1].address)
        for number in range(pairs):
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                sample = take_sample(running[which], case.load(seconds))
                assert not sample.measured.failed
                samples[which].append(sample.cpu_us)
    finally:
        for server in running:
            server.stop()
        Path(ACCESS_FILE).unlink(missing_ok=True)
    added = [with_log - without for without, with_log in zip(*samples, strict=True)]
    return Found(case, statistics.median(samples[0]), added)


def describe(found: Found) -> str:
    """Return what was found as one line."""
    pairs = ", ".join(f"{added:.1f}" for added in found.added_us)
    what = f"{found.case.server}, {found.case.title}"
    return f"{what}: {found.without_us:.1f} us a request, the log adds {found.median_us:.1f} ({pairs})"


def render(all_found: list[Found], command: str) -> str:
    """Return the table as Markdown."""
    lines = [
        "# What the access log adds to a request",
        "",
        *describe_machine(command),
        "",
        "CPU of all processes, microseconds a request, 2 workers, 32 clients on connections that stay, where the server"
        " keeps them. Medians of pairs of runs; in brackets the least and the most of them. Ours goes to a file by way"
        f" of the supervisor, the others' to /dev/null. Goal for ours: {BUDGET_US:g} us.",
        "",
        "| server | what | without | the log adds | |",
        "|---|---|---|---|---|",
    ]
    for found in all_found:
        kept = ("kept" if found.median_us <= BUDGET_US else "**missed**") if found.case.server == OURS else ""
        spread = f"({min(found.added_us):.1f} to {max(found.added_us):.1f})"
        what = f"{found.case.server} | {found.case.title}"
        lines.append(f"| {what} | {found.without_us:.1f} | {found.median_us:.1f} {spread} | {kept} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.access_log_cost")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run")
    parser.add_argument("--only", default="", help="cases whose server and title contain this; nothing is written")
    arguments = parser.parse_args()
    found = []
    for case in CASES:
        is_wanted = arguments.only.lower() in f"{case.server}, {case.title}".lower()
        if is_wanted and SERVERS[case.server].is_installed():
            found.append(measure(case, arguments.pairs, arguments.seconds))
            print(describe(found[-1]), flush=True)
    if not arguments.only:
        RESULTS.write_text(render(found, "python -m benchmarks.access_log_cost"))


if __name__ == "__main__":
    main()
