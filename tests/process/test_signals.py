"""Signals to a running supervisor: each means one request."""

import os
import signal

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import wait_until


def test_ttin_and_ttou_scale_by_one(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    os.kill(app.supervisor_pid, signal.SIGTTIN)
    app.wait_online(2)
    os.kill(app.supervisor_pid, signal.SIGTTOU)
    app.wait_online(1)


def test_ttou_never_takes_the_last_worker(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    os.kill(app.supervisor_pid, signal.SIGTTOU)
    wait_until(lambda: "signal_failed" in app.log("supervisor"), "it is refused in the log")
    app.wait_online(1)


def test_hup_reloads(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1", "--reload-settle", "0.1")
    before = app.worker_pids
    os.kill(app.supervisor_pid, signal.SIGHUP)
    wait_until(lambda: "reload_done" in app.log("supervisor"), "it is reloaded")
    app.wait_online(1)
    assert app.worker_pids != before


def test_term_stops_and_drains(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    os.kill(app.supervisor_pid, signal.SIGTERM)
    wait_until(lambda: not fastlb.pids, "everything has ended", timeout=10)
    assert "worker_draining" in app.log("supervisor")
