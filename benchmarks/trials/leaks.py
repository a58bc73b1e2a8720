"""Trial 8: after many restarts and reloads supervisor and dispatcher hold what they held before."""

import os
import signal
from collections.abc import Iterator

import msgspec

from tests.support import processes
from tests.support.fastlb_process import App, Fastlb
from tests.support.waiting import wait_until

from .finding import Finding, Scale

WORKERS = 8
RSS_GROWTH_BYTES = 5 << 20


class Held(msgspec.Struct, frozen=True):
    """What a process holds."""

    fds: int
    threads: int
    rss_bytes: int

    @classmethod
    def by(cls, pid: int) -> "Held":
        """Look at a process."""
        return cls(processes.fd_count(pid), processes.thread_count(pid), processes.rss_bytes(pid))


def run(scale: Scale) -> Iterator[Finding]:
    """Warm up, measure, restart and reload, measure again."""
    warm_up, restarts, reloads = scale.of(100), scale.of(1000), scale.of(200)
    with Fastlb() as fastlb:
        quick = ("--settle", "0", "--min-uptime", "0", "--restart-delay", "0.01")
        app = fastlb.start("asgi_probe:app", "--workers", str(WORKERS), *quick)
        pids = {"supervisor": app.supervisor_pid, "dispatcher": app.dispatcher_pid}
        restart_workers(app, warm_up)
        reload_app(app, max(warm_up // 10, 2))
        before = {name: Held.by(pid) for name, pid in pids.items()}
        restart_workers(app, restarts)
        reload_app(app, reloads)
        wait_until(lambda: len(processes.children(pids["supervisor"])) == WORKERS + 1, "old workers are gone", 30)
        after = {name: Held.by(pid) for name, pid in pids.items()}
        for name in pids:
            yield compare(f"{restarts} restarts of workers, {reloads} reloads", name, before[name], after[name])


def restart_workers(app: App, count: int) -> None:
    """Kill all workers at once until `count` have been replaced."""
    app.ok("scale", str(WORKERS))
    done = 0
    while done < count:
        victims = app.worker_pids[: count - done]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        gone = set(victims)
        wait_until(lambda: len(now := app.worker_pids) == WORKERS and not gone & set(now), "replaced", 60)  # noqa: B023
        done += len(victims)


def reload_app(app: App, count: int) -> None:
    """Reload one worker many times, then go back to the full number."""
    app.ok("scale", "1")
    for _ in range(count):
        app.ok("reload")
    app.ok("scale", str(WORKERS))


def compare(what: str, name: str, before: Held, after: Held) -> Finding:
    """Return the finding for one process."""
    same = before.fds == after.fds and before.threads == after.threads
    growth = after.rss_bytes - before.rss_bytes
    measured = (
        f"fds {before.fds} -> {after.fds}, threads {before.threads} -> {after.threads}, "
        f"RSS {before.rss_bytes / 2**20:.1f} -> {after.rss_bytes / 2**20:.1f} MiB"
    )
    promise = f"{what}: fds and threads of the {name} unchanged, RSS within 5 MB"
    return Finding(promise, measured, same and growth <= RSS_GROWTH_BYTES)
