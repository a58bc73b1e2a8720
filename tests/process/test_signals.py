"""Signals to a running supervisor: each means one request."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import scaled, wait_until


def test_ttin_and_ttou_scale_by_one(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    os.kill(app.supervisor_pid, signal.SIGTTIN)
    app.wait_online(2)
    os.kill(app.supervisor_pid, signal.SIGTTOU)
    app.wait_online(1)


def test_ttou_never_takes_the_last_worker(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    os.kill(app.supervisor_pid, signal.SIGTTOU)
    refused = 'scale_failed by="signal SIGTTOU" reason="an app has 1 to 512 workers, not 0"'
    wait_until(lambda: refused in app.log("supervisor"), "it is refused in the log")
    app.wait_online(1)


def test_hup_reloads(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1", "--settle", "0.1")
    before = app.worker_pids
    os.kill(app.supervisor_pid, signal.SIGHUP)
    wait_until(lambda: "reload_done" in app.log("supervisor"), "it is reloaded")
    app.wait_online(1)
    assert app.worker_pids != before


def test_hup_during_a_reload_is_carried_out_after_it_and_once(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1", "--settle", f"{scaled(1):g}")
    pid = app.supervisor_pid
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: "reload_begun" in app.log("supervisor"), "the first reload runs")
    for _ in range(3):
        os.kill(pid, signal.SIGHUP)
    wait_until(lambda: app.log("supervisor").count("reload_done") == 2, "both are done", timeout=20)
    app.wait_online(1)
    log = app.log("supervisor")
    assert log.count('reload_waits by="signal SIGHUP" behind=reload') == 1
    assert log.index("reload_done") < log.rindex("reload_begun"), "one after the other"
    assert log.count("reload_begun") == 2, "asked for again while one waits is asked for once"
    assert [worker["generation"] for worker in app.entry()["workers"]] == [3]


def test_reload_that_waits_is_cancelled_by_a_stop(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1", "--settle", "30")
    for _ in range(2):
        os.kill(app.supervisor_pid, signal.SIGHUP)
        wait_until(lambda: "reload_begun" in app.log("supervisor"), "the first reload runs")
    wait_until(lambda: "reload_waits" in app.log("supervisor"), "the second waits")
    os.kill(app.supervisor_pid, signal.SIGTERM)
    wait_until(lambda: not fastlb.pids, "everything has ended", timeout=10)
    assert "reload_dropped" in app.log("supervisor")
    assert app.log("supervisor").count("reload_begun") == 1


def test_usr1_reopens_logs_that_were_moved_away(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    logs = [fastlb.home / "logs" / f"app-{kind}.log" for kind in ("out", "error", "supervisor")]
    for log in logs:
        log.rename(log.with_name(f"{log.name}.1"))
    os.kill(app.supervisor_pid, signal.SIGUSR1)
    wait_until(lambda: all(log.exists() for log in logs), "all logs are there again")
    assert app.get().status == 200
    os.kill(app.supervisor_pid, signal.SIGUSR1)
    wait_until(lambda: "signal_received signal=SIGUSR1" in app.log("supervisor"), "the new log is written")


@pytest.mark.parametrize("name", ["SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR", "SIGSTKFLT"])
def test_signal_without_a_meaning_ends_nothing_and_is_logged(fastlb: Fastlb, name: str) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    os.kill(app.supervisor_pid, signal.Signals[name])
    wait_until(lambda: f"signal_ignored signal={name}" in app.log("supervisor"), "it is logged")
    app.wait_online(1)
    assert app.get().status == 200


def test_signals_that_are_not_for_the_dispatcher_do_not_end_it(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    before = app.dispatcher_pid
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGHUP):
        os.kill(before, number)
    for _ in range(20):
        assert app.get().status == 200
    assert app.dispatcher_pid == before
    assert app.show()["dispatcher"]["replaced"] == 0


def test_workers_do_not_inherit_that_signals_are_ignored(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    [pid] = app.worker_pids
    status = Path(f"/proc/{pid}/status").read_text()
    ignored = int(next(line for line in status.splitlines() if line.startswith("SigIgn:")).split()[1], 16)
    assert not ignored & sum(1 << number - 1 for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM))


def test_term_stops_and_drains(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    os.kill(app.supervisor_pid, signal.SIGTERM)
    wait_until(lambda: not fastlb.pids, "everything has ended", timeout=10)
    assert "worker_draining" in app.log("supervisor")
