"""What is asked for while something else is being done waits for its turn, and can be seen."""

import os
import signal
from pathlib import Path

from tests.support.fastlb_process import Fastlb
from tests.support.programs import start_program, write_program
from tests.support.waiting import scaled, wait_until


def test_command_waits_for_what_is_under_way_and_goes_before_signals(fastlb: Fastlb, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    ready = f"""until [ -e {gate} ]; do sleep 0.05; done; echo '"ready"' >&$NODE_CHANNEL_FD"""
    write_program(tmp_path / "worker.sh", ready, "while read line; do :; done")
    app = start_program(fastlb, tmp_path, "worker.sh", "--wait-ready")
    pid = app.supervisor_pid
    gate.unlink()
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: app.entry()["operations"], "the reload runs, until the gate opens")
    os.kill(pid, signal.SIGTTIN)
    wait_until(lambda: len(app.entry()["operations"]) == 2, "one worker more waits")
    scaling = fastlb.popen("scale", "app", "+2")
    wait_until(lambda: len(app.entry()["operations"]) == 3, "the command waits", timeout=15)
    assert app.entry()["operations"] == [
        {"operation": "reload", "by": "signal SIGHUP", "state": "runs"},
        {"operation": "scale", "by": "person", "state": "waits"},
        {"operation": "scale", "by": "signal SIGTTIN", "state": "waits"},
    ]
    said = "app: reload runs, asked for by signal SIGHUP\napp: scale waits, asked for by person\n"
    assert said in fastlb.ok("list").stdout
    assert said.replace("app: ", "") in app.ok("show").stdout
    gate.touch()
    output, errors = scaling.communicate(timeout=scaled(30))
    assert "scaled from 1 to 3 workers" in output
    assert "waiting for the reload that is under way" in errors
    app.wait_online(4)
    wait_until(lambda: app.entry()["operations"] == [], "nothing waits any more")
