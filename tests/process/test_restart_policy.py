"""When an app of any kind is started again, after which pause, when no more, and when all the same."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.fastlb_process import App, Fastlb
from tests.support.programs import start_program, write_program
from tests.support.waiting import wait_until

# Each serves, or lives, until a file tells it the code to exit with; who finds the file removes it.
PYTHON = """
import asyncio, os, sys
def watch():
    if not os.path.exists("code"):
        return asyncio.get_running_loop().call_later(0.02, watch)
    code = int(open("code").read())
    os.unlink("code")
    print("last words\\x1b[2J", file=sys.stderr, flush=True)
    os._exit(code)
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        watch()
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
"""
NODE = """
const fs = require('node:fs');
setInterval(() => {
  if (!fs.existsSync('code')) return;
  const code = Number(fs.readFileSync('code'));
  fs.unlinkSync('code');
  fs.writeSync(2, 'last words\\x1b[2J\\n');
  process.exit(code);
}, 20);
require('node:http').createServer((_, response) => response.end()).listen(0);
"""
SHELL = (
    "until [ -e code ]; do sleep 0.02; done",
    "code=$(cat code)",
    "rm code",
    "printf 'last words\\033[2J%s\\n' \"$TOKEN\" >&2",
    "exit $code",
)
KINDS = ("python", "node", "fork")
SAY_READY = "echo '\"ready\"' >&$NODE_CHANNEL_FD"
ONCE = ("--max-restarts", "1", "--min-uptime", "60")


@dataclass
class Ending:
    """An app of one worker, whose process ends when it is told to."""

    app: App
    directory: Path

    def end(self, code: int) -> None:
        """Have its process exit with `code`; return when it does so."""
        told = self.directory / "code.new"
        told.write_text(str(code))
        os.rename(told, self.directory / "code")
        wait_until(lambda: not (self.directory / "code").exists(), "it has heard of it", 15)

    @property
    def status(self) -> str:
        """The state of the worker."""
        return str(self.app.entry()["workers"][0]["status"])

    def wait_until_it_is(self, status: str) -> None:
        """Wait for a state of the worker."""
        wait_until(lambda: self.status == status, f"it is {status}", 15)

    def wait_until_restarted(self, restarts: int) -> None:
        """Wait until it is online, after so many restarts."""
        wait_until(lambda: self.status == "online" and self.app.entry()["restarts"] == restarts, "it is back", 15)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of this name."""
        lines = self.app.ok("events", "--json", "--lines", "1000").stdout.splitlines()
        return [event for line in lines if (event := json.loads(line))["event"] == name]


@pytest.fixture
def start(fastlb: Fastlb, tmp_path: Path) -> Callable[..., Ending]:
    def start(kind: str, *options: str) -> Ending:
        (tmp_path / "ends.py").write_text(PYTHON)
        (tmp_path / "ends.js").write_text(NODE)
        write_program(tmp_path / "ends.sh", *SHELL)
        target = {"python": "ends:app", "node": "ends.js", "fork": "ends.sh"}[kind]
        bind = ("--bind", "127.0.0.1:0") if kind == "python" else ()
        return Ending(start_program(fastlb, tmp_path, target, "--settle", "0.1", *bind, *options), tmp_path)

    return start


@pytest.mark.parametrize("kind", KINDS)
def test_pause_grows_until_a_reset_and_a_chosen_exit_code_ends_the_work(
    start: Callable[..., Ending], kind: str
) -> None:
    ending = start(kind, "--min-uptime", "60", "--stop-exit-codes", "0", "--stop-exit-codes", "9")
    for restarts in (1, 2):
        ending.end(3)
        ending.wait_until_restarted(restarts)
    assert "0" in ending.app.ok("reset").stdout
    assert ending.app.entry()["restarts"] == 0
    ending.end(3)
    ending.wait_until_restarted(1)
    ending.end(9)
    ending.wait_until_it_is("finished")
    wait_until(lambda: ending.events("worker_done"), "it is written")
    pauses = [event["restart_in_s"] for event in ending.events("worker_crashed")]
    assert 0.1 <= pauses[0] <= 0.125
    assert 0.15 <= pauses[1] <= 0.188
    assert 0.1 <= pauses[2] <= 0.125, "as the first one"
    assert ending.events("worker_done")[0]["reason"] == "exited with code 9"
    [last] = ending.app.show()["last_exits"]
    assert (last["worker_id"], last["reason"]) == (0, "exited with code 3")
    assert last["error_lines"][-1] == r"last words\x1b[2J"
    shown = ending.app.ok("show").stdout
    assert f"worker 0 (pid {last['pid']}) at {last['at']}: exited with code 3\n" in shown
    assert r"    last words\x1b[2J" in shown
    assert len(ending.events("restarts_reset")) == 1


def test_fixed_pause_is_the_same_each_time(start: Callable[..., Ending]) -> None:
    ending = start("fork", "--min-uptime", "60", "--restart-delay", "10ms", "--env", "TOKEN=swordfish-1234")
    for restarts in (1, 2):
        ending.end(3)
        ending.wait_until_restarted(restarts)
    wait_until(lambda: len(ending.events("worker_crashed")) == 2, "both are written")
    assert [event["restart_in_s"] for event in ending.events("worker_crashed")] == [0.01, 0.01]
    [last] = ending.app.show()["last_exits"]
    assert "last words" in last["error_lines"][-1]
    assert "swordfish" not in str(last), "what is secret stays so"


@pytest.mark.parametrize("kind", KINDS)
def test_worker_that_was_given_up_is_tried_again(start: Callable[..., Ending], kind: str) -> None:
    ending = start(kind, *ONCE, "--errored-retry", "100ms")
    ending.end(3)
    wait_until(lambda: "retry_done" in ending.app.log("supervisor"), "it was tried again", 20)
    ending.wait_until_it_is("online")
    assert len(ending.app.entry()["workers"]) == 1
    log = ending.app.log("supervisor")
    assert (log.count("worker_given_up"), log.count("app_abandoned")) == (1, 1), "meanwhile clients were refused"


def test_retry_that_fails_is_tried_again_after_the_same_time(fastlb: Fastlb, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    write_program(tmp_path / "worker.sh", f"[ -e {broken} ] && exit 4", SAY_READY, "exec sleep 1000")
    app = start_program(fastlb, tmp_path, "worker.sh", "--wait-ready", "--errored-retry", "100ms", *ONCE)
    [pid] = app.worker_pids
    broken.touch()
    os.kill(pid, 15)
    wait_until(lambda: app.log("supervisor").count("retry_failed") >= 2, "it failed twice more", 20)
    wait_until(lambda: app.entry()["status"] == "errored", "it is given up between two tries")
    broken.unlink()
    app.wait_online(1)


def test_app_in_the_foreground_waits_for_its_retry(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "echo begun", "exec sleep 1000")
    options = ("--settle", "0.1", "--errored-retry", "100ms", *ONCE)
    fastlb.popen("run", "worker.sh", "--name", "app", *options, cwd=tmp_path)
    app = fastlb.app()
    wait_until(lambda: [entry for entry in fastlb.list_json() if entry["status"] == "online"], "it is online", 20)
    [pid] = app.worker_pids
    os.kill(pid, 15)
    wait_until(lambda: (pids := app.worker_pids) and pids != [pid], "it was tried again", 20)
    app.ok("stop")


def test_restarts_of_a_stopped_app_cannot_be_reset(fastlb: Fastlb) -> None:
    fastlb.start().ok("stop")
    result = fastlb.cli("reset", "app")
    assert result.returncode == 1
    assert "app is stopped: its restarts are counted from 0 when it starts" in result.stderr
