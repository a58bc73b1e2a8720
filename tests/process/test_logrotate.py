"""The real logrotate, with the configuration of docs/logrotate.md, under a program that never stops printing."""

import getpass
import grp
import gzip
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.fastlb_process import App, Fastlb
from tests.support.waiting import wait_until

LOGROTATE = shutil.which("logrotate", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "logrotate.md"
PROGRAM = """
import os, threading
number, pause = 0, threading.Event()
while not os.path.exists({stop!r}):
    os.write(1, b"%08d\\n" % number)
    number += 1
    pause.wait(0.001)
os.write(1, b"end\\n")
pause.wait()
"""
ROTATIONS = 4

pytestmark = pytest.mark.skipif(not LOGROTATE, reason="there is no logrotate on this machine")


def configuration(directory: Path, logs: Path) -> Path:
    """Return the page's configuration, for these logs and the user of this test."""
    found = re.search(r"```\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    user = f"su {getpass.getuser()} {grp.getgrgid(os.getgid()).gr_name}"
    text = found[1].replace("/srv/shop/.fastlb/logs/*.log", f"{logs}/app-out.log").replace("su shop shop", user)
    path = directory / "logrotate.conf"
    path.write_text(text)
    path.chmod(0o644)
    return path


def start_printing(fastlb: Fastlb, directory: Path) -> App:
    program = directory / "prints.py"
    program.write_text(PROGRAM.format(stop=str(directory / "stop")))
    return fastlb.start(str(program), "--fork", "--workers", "1")


def rotate(fastlb: Fastlb, app: App, conf: Path) -> None:
    """Rotate when something was written since the last time."""
    before = app.log("out")
    wait_until(lambda: app.log("out").count("\n") > before.count("\n") + 10, "more was printed")
    assert LOGROTATE
    command = [LOGROTATE, "--force", "--state", str(conf.with_name("state")), str(conf)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    fastlb.ok("reload-logs", "app")
    wait_until(lambda: bool(app.log("out")), "the new file is written")


def all_lines(fastlb: Fastlb, app: App, directory: Path) -> list[str]:
    """End the printing; return all lines, the oldest first."""
    (directory / "stop").touch()
    wait_until(lambda: app.log("out").endswith("end\n"), "the last line is written")
    logs = fastlb.home / "logs"
    files = sorted(logs.glob("app-out.log*"), key=lambda path: -int(re.sub(r"\D", "", path.name) or 0))
    parts = [gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in files]
    return b"".join(parts).decode().splitlines()


def test_every_line_is_there_once_and_in_order(fastlb: Fastlb, tmp_path: Path) -> None:
    app = start_printing(fastlb, tmp_path)
    conf = configuration(tmp_path, fastlb.home / "logs")
    for _ in range(ROTATIONS):
        rotate(fastlb, app, conf)
    *numbers, end = all_lines(fastlb, app, tmp_path)
    assert end == "end"
    assert numbers == [f"{number:08}" for number in range(len(numbers))]
    names = {path.name for path in (fastlb.home / "logs").glob("app-out.log*")}
    assert names == {"app-out.log", "app-out.log.1", *(f"app-out.log.{at}.gz" for at in range(2, ROTATIONS + 1))}
