"""Scripts that PM2's users copy run as they are, by the link `pm2`, and get numbers."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.fastlb_process import App, Fastlb
from tests.support.waiting import scaled, wait_until

SCRIPTS = Path(__file__).resolve().parent.parent / "support" / "pm2_scripts"
NAME = "tron-energy-api"
# What macOS prints, as the scripts expect it.
TOP = '#!/bin/sh\necho "CPU usage: 7.31% user, 5.10% sys, 87.58% idle"\n'
VM_STAT = '#!/bin/sh\necho "Pages active:                             1234567."\n'


@pytest.fixture
def pm2_home(fastlb: Fastlb) -> Fastlb:
    """An installation whose commands find `pm2` on PATH."""
    programs = fastlb.directory / "bin"
    programs.mkdir()
    for name, text in (("top", TOP), ("vm_stat", VM_STAT)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    assert "leads here: `pm2 list`" in fastlb.ok("link-pm2", str(programs)).stdout
    fastlb.env["PATH"] = f"{programs}:{fastlb.env['PATH']}"
    return fastlb


def run_script(fastlb: Fastlb, name: str) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        ["bash", str(SCRIPTS / name)],
        env=fastlb.env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=scaled(60),
    )
    assert "integer expression expected" not in result.stderr, result.stderr
    assert "error: " not in result.stderr, result.stderr
    return result


def wait_for_crashes(app: App, crashes: int) -> None:
    """Wait until another worker has taken the place of the last one that crashed."""
    wait_until(lambda: app.entry()["restarts"] == crashes and app.worker_pids, f"{crashes} crashes", timeout=20)


def start_idle(fastlb: Fastlb, workers: int) -> None:
    """Start the app that the scripts name, and wait until it has nothing to do any more."""
    app = fastlb.start("asgi_probe:app", "-w", str(workers), "--max-memory-restart", "1536M", name=NAME)
    wait_until(lambda: sum(w["cpu_percent"] for w in app.entry()["workers"]) < 5, "the app is idle", timeout=30)


def test_health_check_and_monitor_get_figures(pm2_home: Fastlb) -> None:
    start_idle(pm2_home, 2)
    checked = run_script(pm2_home, "pm2-health-check.sh").stdout
    assert checked.count(f"{NAME}: ") == 2
    figures = [line.partition(": ")[2] for line in checked.splitlines() if line.startswith(f"{NAME}: ")]
    assert all(figure.endswith("M") and 5 < int(figure[:-1]) < 500 for figure in figures), checked
    monitored = run_script(pm2_home, "performance-monitor.sh").stdout
    lines = [line.split() for line in monitored.splitlines()]
    assert next(line[1] for line in lines if line[:1] == ["cpu"]).endswith("%")
    assert [line[2:4] for line in lines if line[:1] == ["memory"]] == [["of", "1536M"]]
    assert ["restarts", "0"] in lines


def test_restarts_are_warned_of(pm2_home: Fastlb) -> None:
    app = pm2_home.start("asgi_probe:app", "--max-restarts", "0", "--min-uptime", "0s", name=NAME)
    for crash in range(1, 7):
        os.kill(app.worker_pids[0], signal.SIGKILL)
        wait_for_crashes(app, crash)
    assert f"WARNING: {NAME} has restarted 6 times" in run_script(pm2_home, "pm2-health-check.sh").stdout


def test_auto_tuning_scales_an_idle_app_down_and_stops_at_one_row(pm2_home: Fastlb) -> None:
    start_idle(pm2_home, 3)
    assert "Scaling down instances..." in run_script(pm2_home, "auto-tune.sh").stdout
    pm2_home.app(NAME).wait_online(2)
    assert "Scaling" not in run_script(pm2_home, "auto-tune.sh").stdout
