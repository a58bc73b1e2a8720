"""What being watched costs an app: scrapes, an open console and alerts, all in one run; and a scrape of many workers.

`python -m benchmarks.monitoring [SECONDS]`: so long (60) each row is measured. An app of 8 workers that nobody watches,
then the same with everything on, idle and while clients ask on connections that stay open; then an app of 64 workers.
"""

import http.client
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import describe_machine
from tests.support import processes
from tests.support.console import ConsoleProcess
from tests.support.fastlb_process import COMMAND, App, Fastlb
from tests.support.ports import free_port

SECONDS = 60.0
WORKERS, MANY_WORKERS = 8, 64
SCRAPE_SECONDS = 5.0
SCRAPES = 50
LISTS = 15
CLIENTS, REQUESTS_A_SECOND = 16, 10  # of each client
BUDGET_PERCENT = 0.5
BUDGET_SCRAPE_MS = 5.0
RESULT = Path(__file__).parent / "results" / "monitoring.md"
APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
"""


@dataclass(frozen=True)
class Cost:
    """What a row of the table says: percent of a core, and how long `fastlb list` takes, median."""

    supervisor_percent: float
    console_percent: float
    list_seconds: float


def cost(app: App, seconds: float, console: ConsoleProcess | None = None) -> Cost:
    """Measure for so long."""
    pids = [app.supervisor_pid, *([console.process.pid] if console else [])]
    time.sleep(3.0)  # what is still done after a start
    before = [processes.cpu_nanoseconds(pid) for pid in pids]
    time.sleep(seconds)
    used = [processes.cpu_nanoseconds(pid) - then for pid, then in zip(pids, before, strict=True)]
    percent = [nanoseconds / seconds / 1e7 for nanoseconds in used] + [0.0]
    return Cost(percent[0], percent[1], list_seconds(app))


def list_seconds(app: App) -> float:
    """Return the median time of `fastlb list`."""

    def once() -> float:
        begun = time.monotonic()
        subprocess.run([str(COMMAND), "list"], env=app.fastlb.env, stdout=subprocess.DEVNULL, check=True)
        return time.monotonic() - begun

    return statistics.median(once() for _ in range(LISTS))


@contextmanager
def repeated(work: Callable[[], object], pause: float) -> Iterator[None]:
    """Have a thread do it again and again, a pause after each time, while the context lasts."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(pause):
            work()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def scrape(port: int) -> float:
    """Ask for the metrics as Prometheus does; return how many seconds it took."""
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/metrics")
        with connection.getresponse() as response:
            assert response.status == 200
            assert b"# EOF" in response.read()
    finally:
        connection.close()
    return time.monotonic() - begun


@contextmanager
def page_open(console: ConsoleProcess) -> Iterator[None]:
    """Read the console's events, as an open page does, while the context lasts."""
    console.log_in()
    with console.stream() as events, repeated(lambda: next(events), 0.0):
        yield


@contextmanager
def load(app: App) -> Iterator[None]:
    """Have clients ask, each on a connection that stays open, while the context lasts."""
    with ExitStack() as held:
        for _ in range(CLIENTS):
            connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=30)
            held.callback(connection.close)

            def ask(connection: http.client.HTTPConnection = connection) -> None:
                connection.request("GET", "/")
                connection.getresponse().read()

            held.enter_context(repeated(ask, 1 / REQUESTS_A_SECOND))
        yield


def started(fastlb: Fastlb, directory: Path, workers: int, *options: str) -> App:
    """Start the app."""
    (directory / "shop.py").write_text(APP)
    where = ("--app-dir", str(directory))
    command = ("shop:app", "--workers", str(workers), "--settle", "0", *where, *options)
    result = fastlb.try_start(*command, name="shop", timeout=300.0)
    assert result.returncode == 0, result.stderr
    return fastlb.app("shop")


def costs(seconds: float) -> dict[str, Cost]:
    """Return what 8 workers cost their supervisor, watched and not."""
    found = {}
    with Fastlb() as fastlb, tempfile.TemporaryDirectory() as name:
        app = started(fastlb, Path(name), WORKERS)
        found["nobody watches, idle"] = cost(app, seconds)
        with load(app):
            found["nobody watches, under load"] = cost(app, seconds)
        app.ok("delete")
        port = free_port()
        app = started(fastlb, Path(name), WORKERS, "--alerts", "--metrics-bind", str(port))
        with ConsoleProcess(fastlb) as console, page_open(console), repeated(lambda: scrape(port), SCRAPE_SECONDS):
            found["scrapes, console, alerts, idle"] = cost(app, seconds, console)
            with load(app):
                found["scrapes, console, alerts, under load"] = cost(app, seconds, console)
    return found


def scrape_of_many() -> tuple[float, float, float]:
    """Return of a scrape of 64 workers: median and worst milliseconds, and those of the supervisor's CPU."""
    port = free_port()
    with Fastlb() as fastlb, tempfile.TemporaryDirectory() as name:
        app = started(fastlb, Path(name), MANY_WORKERS, "--metrics-bind", str(port))
        for _ in range(MANY_WORKERS * 4):
            app.get("/")
        pid = app.supervisor_pid
        scrape(port)
        used, took = 0, []
        for _ in range(SCRAPES):
            before = processes.cpu_nanoseconds(pid)
            took.append(1000 * scrape(port))
            used += processes.cpu_nanoseconds(pid) - before
            time.sleep(0.1)
        return statistics.median(took), max(took), used / SCRAPES / 1e6


def table(found: dict[str, Cost]) -> Sequence[str]:
    """Return the rows of Markdown."""
    return [
        f"| {words} | {one.supervisor_percent:.3f} % | {one.console_percent:.2f} % | {1000 * one.list_seconds:.0f} ms |"
        for words, one in found.items()
    ]


def main(seconds: float) -> int:
    """Measure, write results/monitoring.md, return 0 if all is within its budget."""
    found = costs(seconds)
    median, worst, cpu = scrape_of_many()
    said = f"""# Being watched

{chr(10).join(describe_machine(f"python -m benchmarks.monitoring {seconds:g}"))}

{WORKERS} workers, {seconds:g} s for each row. A scrape of `metrics_bind` every {SCRAPE_SECONDS:g} s, a page of
`fastlb console` open, `--alerts`; load: {CLIENTS} clients on connections that stay open, {REQUESTS_A_SECOND} requests
a second each. Percent of a core (budget of the supervisor: {BUDGET_PERCENT:g} %); `fastlb list`: median of {LISTS}.

| | supervisor | console | `fastlb list` |
|---|---|---|---|
{chr(10).join(table(found))}

A scrape of {MANY_WORKERS} workers: median {median:.1f} ms of {SCRAPES} (budget: {BUDGET_SCRAPE_MS:g} ms), the worst
{worst:.1f} ms; the supervisor's CPU for it: {cpu:.1f} ms.
"""
    RESULT.write_text(said)
    print(said)
    watched = [one.supervisor_percent for words, one in found.items() if "scrapes" in words]
    return 0 if max(watched) < BUDGET_PERCENT and median < BUDGET_SCRAPE_MS else 1


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if sys.argv[1:] else SECONDS))
