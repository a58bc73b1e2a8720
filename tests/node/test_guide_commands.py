"""Every command of the scripts of a guide to PM2, typed in their order by the link `pm2`, on the file they mean."""

import subprocess
from pathlib import Path

import pytest

from tests.support.fastlb_process import COMMAND, Fastlb
from tests.support.node_packages import APPS
from tests.support.waiting import scaled

NAME = "tron-energy-api"
CONFIG = f"""
module.exports = {{
  apps: [
    {{ name: '{NAME}', script: '{APPS}/port_zero.js', instances: 2, exec_mode: 'cluster',
      env_production: {{ NODE_ENV: 'production' }} }},
    {{ name: 'app-dev', script: 'sleep', args: '1000', exec_mode: 'fork' }},
  ],
}};
"""
# What each prints, in part.
LINES = (
    ("start ecosystem.config.js --env production", "listens on"),
    ("list", NAME),
    ("list --no-color", "app-dev"),
    ("status", "online"),
    (f"show {NAME}", "NODE_ENV"),
    ("logs", ""),
    ("logs --err --lines 5 --nostream", ""),
    ("logs --lines 1000", ""),
    (f"logs {NAME} --err --lines 50", ""),
    (f"logs {NAME} --lines 10 --err --nostream", ""),
    ("flush", ""),
    (f"scale {NAME} +2", "scaled from 2 to 4 workers"),
    (f"scale {NAME} -1", "scaled from 4 to 3 workers"),
    (f"restart {NAME}", "restarted 3 workers"),
    (f"reload {NAME}", "reloaded 3 workers"),
    ("reload ecosystem.config.js --env production", NAME),
    ("start ecosystem.config.js --only app-dev", "app-dev"),
    ("stop app-dev", "app-dev: stopped"),
    ("save", "saved 2 apps"),
    ("kill", f"{NAME}: stopped"),
    ("resurrect", "listens on"),
    ("list", "online"),
    ("stop all", f"{NAME}: stopped"),
)


@pytest.fixture
def directory(fastlb: Fastlb) -> Path:
    (fastlb.directory / "pm2").symlink_to(COMMAND)
    (fastlb.directory / "ecosystem.config.js").write_text(CONFIG)
    return fastlb.directory


def run(fastlb: Fastlb, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(fastlb.directory / "pm2"), *line.split()],
        env=fastlb.env,
        cwd=fastlb.directory,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=scaled(60),
    )


def test_every_command_does_what_it_does_there(fastlb: Fastlb, directory: Path) -> None:
    for line, printed in LINES:
        result = run(fastlb, line)
        assert result.returncode == 0, f"pm2 {line}: {result.stdout}{result.stderr}"
        assert printed in result.stdout, f"pm2 {line}"
