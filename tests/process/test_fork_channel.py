"""What a fork-mode program says and hears on its IPC channel: PM2's words, from Node and from anything else."""

import shutil
from pathlib import Path

import pytest

from tests.support.fastlb_process import Fastlb
from tests.support.programs import start_program, try_program, write_program
from tests.support.waiting import scaled, wait_until

NEEDS_NODE = pytest.mark.skipif(not shutil.which("node"), reason="there is no node")
SLEEPS = "sleep 1000 & wait"
SAYS_READY = """echo '"ready"' >&$NODE_CHANNEL_FD"""


def test_program_is_ready_when_it_says_so(fastlb: Fastlb, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    write_program(tmp_path / "worker.sh", "echo begun", f"until [ -e {gate} ]; do sleep 0.01; done", SAYS_READY, SLEEPS)
    starting = fastlb.popen("start", "--name", "app", "--fork", "worker.sh", "--wait-ready", cwd=tmp_path)
    wait_until(lambda: fastlb.app().log("out"), "it has begun")
    assert [worker["status"] for worker in fastlb.app().entry()["workers"]] == ["starting"]
    gate.touch()
    starting.communicate(timeout=scaled(20))
    assert starting.returncode == 0
    assert fastlb.app().entry()["status"] == "online"


@pytest.mark.parametrize(
    "noise", ["printf 'x%.0s' {1..200000}; echo", 'echo \'{"type": "other"}\'', "echo no json", "echo [[[["]
)
def test_other_lines_mean_nothing(fastlb: Fastlb, tmp_path: Path, noise: str) -> None:
    write_program(tmp_path / "worker.sh", f"{{ {noise}; }} >&$NODE_CHANNEL_FD", SAYS_READY, SLEEPS)
    start_program(fastlb, tmp_path, "--fork", "worker.sh", "--wait-ready")


def test_program_that_never_says_it_has_not_started(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "exec {NODE_CHANNEL_FD}>&-", SLEEPS)
    result = try_program(fastlb, tmp_path, "--fork", "worker.sh", "--wait-ready", "--listen-timeout", "0.5s")
    assert result.returncode == 1
    assert 'did not write "ready" to its channel (descriptor NODE_CHANNEL_FD' in result.stderr
    assert fastlb.pids == []


def test_program_is_told_to_end_by_message(fastlb: Fastlb, tmp_path: Path) -> None:
    hears = 'read -u $NODE_CHANNEL_FD word; echo "heard $word"'
    write_program(tmp_path / "worker.sh", "trap 'echo signalled' TERM", "echo begun", hears)
    app = start_program(fastlb, tmp_path, "--fork", "worker.sh", "--shutdown-with-message")
    app.ok("stop")
    assert app.log("out").splitlines() == ["begun", 'heard "shutdown"']


def test_program_without_its_channel_is_told_by_the_signal(fastlb: Fastlb, tmp_path: Path) -> None:
    lines = ("trap 'echo signalled; exit 0' TERM", "exec {NODE_CHANNEL_FD}>&-", "echo begun", SLEEPS)
    write_program(tmp_path / "worker.sh", *lines)
    app = start_program(fastlb, tmp_path, "--fork", "worker.sh", "--shutdown-with-message", "--kill-timeout", "60s")
    wait_until(lambda: app.log("out"), "it has begun")
    app.ok("stop", timeout=20)
    assert app.log("out").splitlines() == ["begun", "signalled"]


@NEEDS_NODE
def test_node_script_has_the_channel_that_pm2_gives_it(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "worker.js").write_text(
        "const cluster = require('cluster')\n"
        "process.on('message', word => { console.log('heard', word); process.exit(0) })\n"
        "console.log(cluster.isPrimary, process.env.NODE_APP_INSTANCE, process.argv.slice(2).join())\n"
        "setTimeout(() => process.send('ready'), 100)\n"
    )
    options = ("--fork", "worker.js", "-w", "2", "--wait-ready", "--shutdown-with-message", "--", "-a", "b")
    app = start_program(fastlb, tmp_path, *options)
    wait_until(lambda: app.log("out").count("\n") == 2, "both have written")
    assert sorted(app.log("out").splitlines()) == ["true 0 -a,b", "true 1 -a,b"]
    app.ok("stop")
    assert app.log("out").count("heard shutdown") == 2


@NEEDS_NODE
def test_node_script_ends_by_its_own_handler_of_the_signal(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "worker.js").write_text(
        "process.on('SIGINT', () => { console.log('cleaned'); process.exit(0) })\n"
        "require('http').createServer().listen(0, () => console.log('listens', process.execArgv.join()))\n"
    )
    options = ("--fork", "worker.js", "--kill-signal", "SIGINT", "--interpreter-args", "--max-old-space-size=100")
    app = start_program(fastlb, tmp_path, *options)
    wait_until(lambda: "listens" in app.log("out"), "it has its handler")
    app.ok("stop")
    assert app.log("out").splitlines() == ["listens --max-old-space-size=100", "cleaned"]
