"""Limits of programs in fork mode: who is over one is replaced, stop-first, and nobody else is touched."""

import sys
from pathlib import Path

from tests.support.fastlb_process import Fastlb
from tests.support.programs import start_program, try_program, write_program
from tests.support.waiting import scaled, wait_until

# Takes as many MiB as it is told on its standard input.
HOARDER = """
import os, sys
held = []
print("begun", os.environ["NODE_APP_INSTANCE"])
for line in sys.stdin:
    held.append(bytearray(int(line) << 20))
"""


def test_program_over_its_memory_limit_is_replaced(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "hoarder.py").write_text(HOARDER)
    app = start_program(fastlb, tmp_path, "hoarder.py", "-w", "2", "--max-memory-restart", "60M")
    first, second = app.worker_pids
    app.ok("send", "100", "--worker", "1")
    wait_until(lambda: app.log("out").count("begun 1") == 2, "the second is started anew", timeout=15)
    app.wait_online(2)
    assert app.worker_pids[0] == first
    assert app.worker_pids[1] != second
    log = app.log("supervisor").partition("limit_reached")[2]
    steps = [word for word in log.split() if word in ("worker_exited", "worker_started")]
    assert steps == ["worker_exited", "worker_started"], "both would want one port"


def test_memory_of_what_a_program_starts_counts(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "hoarder.py").write_text(HOARDER)
    write_program(tmp_path / "worker.sh", f"{sys.executable} -u hoarder.py; true")
    app = start_program(fastlb, tmp_path, "worker.sh", "--max-memory-restart", "60M")
    wait_until(lambda: "begun" in app.log("out"), "it has begun")
    app.ok("send", "100")
    wait_until(lambda: app.log("out").count("begun") == 2, "it is started anew", timeout=15)


def test_program_lives_no_longer_than_it_may(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "echo begun", "exec sleep 1000")
    app = start_program(fastlb, tmp_path, "worker.sh", "--max-lifetime", "1s")
    wait_until(lambda: app.log("out").count("begun") >= 2, "it is started anew", timeout=15)
    assert "max_lifetime" in app.log("supervisor")


def test_replacement_that_fails_is_tried_again(fastlb: Fastlb, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    write_program(tmp_path / "worker.sh", f"[ -e {broken} ] && exit 3", "echo begun", "exec sleep 1000")
    app = start_program(fastlb, tmp_path, "worker.sh", "--max-lifetime", f"{scaled(2):g}s")
    broken.touch()
    wait_until(lambda: "replace_failed" in app.log("supervisor"), "the replacement has failed", timeout=15)
    assert app.worker_pids == []
    broken.unlink()
    wait_until(lambda: app.log("out").count("begun") == 2, "it is started anew", timeout=30)


def test_limit_of_requests_has_no_meaning(fastlb: Fastlb, tmp_path: Path) -> None:
    result = try_program(fastlb, tmp_path, "--max-requests", "100", "sleep", "--", "1000")
    assert result.returncode == 2
    assert "--max-requests: this is for Python apps, and sleep is a fork-mode app" in result.stderr
