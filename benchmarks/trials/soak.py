"""Trial 17: everything that must cost no request, in random order for minutes, under two loads at once."""

import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator

from tests.support import processes
from tests.support.client import Connection, get
from tests.support.fastlb_process import App, Fastlb, find_dispatcher
from tests.support.load_plan import Plan, Report
from tests.support.load_process import LoadProcess
from tests.support.raw_http import RawClient, request

from .descriptor_exhaustion import lowest_free_fd
from .finding import Finding, Scale
from .leaks import RSS_GROWTH_BYTES, Held

WORKERS = 3
REQUESTS_BETWEEN = 300
WITHOUT_DESCRIPTORS = 0.5
TRAILER_LINES = b"X-T: tttttttttt\r\n" * 600
TRAILER_SECONDS = 10.0


class Soak:
    """One app under load, and what is done to it."""

    def __init__(self, app: App, rng: random.Random) -> None:
        self.app = app
        self.rng = rng
        self.done: dict[str, int] = {}
        self.wrong: list[str] = []

    def step(self) -> None:
        """Do one of the things, by chance."""
        action = self.rng.choice(ACTIONS)
        action(self)
        name = action.__name__
        self.done[name] = self.done.get(name, 0) + 1

    def reload(self) -> None:
        """Replace every worker."""
        self.app.ok("reload")

    def scale(self) -> None:
        """Go to another number of workers."""
        self.app.ok("scale", str(self.rng.randint(2, 5)))

    def kill_dispatcher(self) -> None:
        """Kill the dispatcher and wait for the next one."""
        os.kill(self.app.dispatcher_pid, signal.SIGKILL)
        find_dispatcher(self.app.supervisor_pid)

    def kill_dispatcher_while_supervisor_has_no_descriptors(self) -> None:
        """Kill the dispatcher while its successor can only be made from what is in reserve."""
        dispatcher = self.app.dispatcher_pid
        limit, _ = resource.prlimit(dispatcher, resource.RLIMIT_NOFILE)
        with_few_descriptors(self.app.supervisor_pid, lambda: os.kill(dispatcher, signal.SIGKILL))
        # It may have been started under the supervisor's lowered limit, which it inherits.
        processes.limit_open_files(find_dispatcher(self.app.supervisor_pid), limit)

    def take_descriptors_of_dispatcher(self) -> None:
        """Let the dispatcher open nothing for a while."""
        with_few_descriptors(self.app.dispatcher_pid, do_nothing)

    def take_descriptors_of_a_worker(self) -> None:
        """Let a worker open nothing for a while."""
        victim = self.rng.choice(self.app.worker_pids)
        with_few_descriptors(victim, do_nothing)

    def end_forked_child(self) -> None:
        """Ask for a child that the app forks and terminates."""
        answer = get(self.app.address, "/child", timeout=10)
        if (answer.status, answer.body) != (200, str(-signal.SIGTERM).encode()):
            self.wrong.append(f"/child: {answer.status} {answer.body[:40]!r}")

    def send_endless_trailer(self) -> None:
        """Send trailer lines until the worker ends the connection: at once, or after it has thrown some away."""
        end = time.monotonic() + TRAILER_SECONDS
        with RawClient(Connection(self.app.address, timeout=10).sock) as client:
            try:
                client.send(request("POST", "/plain", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n")
                while time.monotonic() < end:
                    client.send(TRAILER_LINES)
                self.wrong.append(f"a trailer was taken for {TRAILER_SECONDS:g} s")
            except ConnectionError:
                return


ACTIONS: tuple[Callable[[Soak], None], ...] = (
    Soak.reload,
    Soak.scale,
    Soak.kill_dispatcher,
    Soak.kill_dispatcher_while_supervisor_has_no_descriptors,
    Soak.take_descriptors_of_dispatcher,
    Soak.take_descriptors_of_a_worker,
    Soak.end_forked_child,
    Soak.send_endless_trailer,
)


def run(scale: Scale) -> Iterator[Finding]:
    """Soak both kinds of Python apps, five minutes each."""
    for target in ("asgi_probe:app", "wsgi_probe:app"):
        yield from soak(target, scale.of(300, least=20))


def soak(target: str, seconds: int) -> Iterator[Finding]:
    """Do things to one app under load until the time is over; then see what failed and what is held."""
    seed = random.randrange(1 << 32)
    with Fastlb() as fastlb:
        app = fastlb.start(target, "--workers", str(WORKERS), "--settle", "0.1")
        work = Soak(app, random.Random(seed))
        work.reload()
        before = Held.by(app.supervisor_pid)
        single = Plan(address=app.address, path="/plain", clients=4)
        kept = Plan(address=app.address, path="/plain", clients=4, keep_alive=True)
        with LoadProcess(single) as first, LoadProcess(kept) as second:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                work.step()
                first.wait_for(REQUESTS_BETWEEN)
        app.ok("scale", str(WORKERS))
        app.wait_online(WORKERS)
        after = Held.by(app.supervisor_pid)
    yield judge(f"{seconds} s of everything at once, new connections ({target})", first.report, work, seed)
    yield judge(f"... and keep-alive ({target})", second.report, work, seed)
    growth = after.rss_bytes - before.rss_bytes
    measured = f"RSS {before.rss_bytes / 2**20:.1f} -> {after.rss_bytes / 2**20:.1f} MiB, threads {after.threads}"
    yield Finding("... and the supervisor holds what it held (RSS within 5 MB)", measured, growth <= RSS_GROWTH_BYTES)


def judge(promise: str, report: Report, work: Soak, seed: int) -> Finding:
    """Return the finding of one load: at most one request a killed dispatcher fails, no other, and none hangs."""
    kills = sum(count for name, count in work.done.items() if name.startswith("kill_dispatcher"))
    done = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(work.done.items()))
    measured = f"seed {seed}: {report.summary()}; {done}{'; ' + '; '.join(work.wrong) if work.wrong else ''}"
    ok = report.failed <= kills and not report.timeout and not report.bad_status and not work.wrong
    return Finding(f"{promise}: failed <= killed dispatchers, none hangs, no other answer", measured, ok)


def do_nothing() -> None:
    """Do nothing: the time without descriptors is all that is wanted."""


def with_few_descriptors(pid: int, action: Callable[[], object]) -> None:
    """Do something while a process may open nothing; afterwards it may again."""
    old_soft, _ = processes.limit_open_files(pid, lowest_free_fd(pid))
    try:
        action()
        time.sleep(WITHOUT_DESCRIPTORS)
    finally:
        processes.limit_open_files(pid, old_soft)
