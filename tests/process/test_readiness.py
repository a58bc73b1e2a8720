"""When a worker is ready, takes that back and is ready again: by words on its channel, sd_notify, its port."""

import os
import stat
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.fastlb_process import APPS, App, Fastlb
from tests.support.node_driver import start_node
from tests.support.node_packages import APPS as NODE_APPS
from tests.support.ports import free_pair
from tests.support.programs import QUICK
from tests.support.waiting import scaled, wait_until

NOTIFIER = str(APPS / "notifier.py")


def start_notifier(fastlb: Fastlb, *options: str) -> App:
    fastlb.ok("start", "--fork", NOTIFIER, "--name", "app", *QUICK, *options)
    return fastlb.app()


def begin_start(fastlb: Fastlb, *options: str) -> subprocess.Popen[str]:
    """Begin a start that cannot end by itself; return when the program runs."""
    starting = fastlb.popen("start", "--fork", NOTIFIER, "--name", "app", *QUICK, *options)
    wait_until(lambda: "begun" in fastlb.app().log("out"), "it has begun", 20)
    return starting


def tell(app: App, line: str) -> None:
    """Send a line; return when the program has done it."""
    before = app.log("out").count(line + "\n")
    app.ok("send", line)
    wait_until(lambda: app.log("out").count(line + "\n") > before, f"it has done: {line}")


def statuses(app: App) -> list[str]:
    return [worker["status"] for worker in app.entry()["workers"]]


def socket_of(app: App) -> Path:
    (path,) = app.fastlb.home.glob("apps/app/notify-*")
    return path


def ends_well(starting: subprocess.Popen[str]) -> bool:
    _, errors = starting.communicate(timeout=scaled(20))
    assert starting.returncode == 0, errors
    return True


@pytest.mark.parametrize("word", ["READY=1", "child READY=1"])
def test_program_is_ready_when_it_or_a_process_below_it_says_so(fastlb: Fastlb, word: str) -> None:
    starting = begin_start(fastlb, "--ready-when", "said")
    app = fastlb.app()
    tell(app, "STATUS=loads|READY=0|READ=1|x")
    wait_until(lambda: app.entry()["workers"][0]["said"] == "loads", "it is heard")
    assert statuses(app) == ["starting"]
    tell(app, word)
    assert ends_well(starting)
    assert statuses(app) == ["online"]


def test_word_of_a_stranger_does_not_count_nor_one_without_end(fastlb: Fastlb) -> None:
    starting = begin_start(fastlb, "--ready-when", "said")
    app = fastlb.app()
    path = socket_of(app)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    stranger = {**os.environ, "NOTIFY_SOCKET": str(path)}
    subprocess.run([sys.executable, NOTIFIER, "READY=1|STATUS=mine"], env=stranger, check=True)
    tell(app, "padded READY=1|STATUS=long")
    assert (statuses(app), app.entry()["workers"][0]["said"]) == (["starting"], "")
    tell(app, "READY=1")
    assert ends_well(starting)


def test_program_takes_its_readiness_back_and_gives_it_again(fastlb: Fastlb) -> None:
    app = start_notifier(fastlb)
    tell(app, "RELOADING=1|STATUS=reads its files")
    wait_until(lambda: (statuses(app), app.entry()["status"]) == (["unready"], "degraded"), "it is heard")
    assert "worker 0: reads its files" in app.ok("show").stdout
    tell(app, "READY=1")
    wait_until(lambda: (statuses(app), app.entry()["status"]) == (["online"], "online"), "it is heard again")
    log = app.log("supervisor")
    assert "worker_unready" in log
    assert "worker_ready_again" in log


def test_program_that_says_that_it_stops_is_replaced_when_it_has(fastlb: Fastlb) -> None:
    app = start_notifier(fastlb)
    tell(app, "STOPPING=1")
    wait_until(lambda: statuses(app) == ["draining"], "it is heard")
    app.ok("send", "exit 0")
    app.wait_online(1)
    assert app.entry()["restarts"] == 1


def test_job_that_says_that_it_stops_has_finished_when_it_exits_well(fastlb: Fastlb) -> None:
    app = start_notifier(fastlb, "--no-autorestart")
    tell(app, "STOPPING=1")
    app.ok("send", "exit 0")
    wait_until(lambda: app.entry()["status"] == "finished", "the job is done")


def test_program_that_has_shown_signs_of_life_and_shows_none_any_more_hangs(fastlb: Fastlb) -> None:
    app = start_notifier(fastlb, "--hang-timeout", "1s")
    tell(app, "WATCHDOG=1")
    wait_until(lambda: app.entry()["restarts"] == 1, "it is started anew")
    assert "no sign of life for hang_timeout (1 s)" in app.log("supervisor")
    app.wait_online(1)
    wait_until(lambda: app.log("out").count("begun") == 2, "the new one reads its words")
    app.ok("send", "WATCHDOG=trigger")
    wait_until(lambda: app.entry()["restarts"] == 2, "it has been taken at its word")


def test_program_is_ready_when_its_port_answers(fastlb: Fastlb) -> None:
    port = free_pair()
    options = ("--ready-when", "port", "--env", f"PORT={port}", "--increment-var", "PORT")
    starting = begin_start(fastlb, *options, "-w", "2")
    app = fastlb.app()
    wait_until(lambda: statuses(app) == ["starting"] * 2, "both run")
    app.ok("send", f"listen {port}", "--worker", "0")
    wait_until(lambda: "ready" in statuses(app), "the first is ready")
    assert sorted(statuses(app)) == ["ready", "starting"]
    app.ok("send", f"listen {port + 1}", "--worker", "1")
    assert ends_well(starting)


def test_program_is_ready_when_it_has_lived_for_min_uptime(fastlb: Fastlb) -> None:
    starting = begin_start(fastlb, "--ready-when", "uptime", "--min-uptime", "60s")
    assert statuses(fastlb.app()) == ["starting"]
    fastlb.ok("stop", "app")
    assert starting.wait(scaled(20)) == 1
    assert statuses(start_notifier(fastlb, "--ready-when", "uptime", "--min-uptime", "0.1s")) == ["online"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_program_of_another_user_can_say_that_it_is_ready(fastlb: Fastlb, tmp_path: Path) -> None:
    """It may enter no directory of ours, and nobody else may speak for it."""
    python = next((path for path in ("/usr/bin/python3", "/usr/local/bin/python3") if os.path.exists(path)), "")
    if not python:
        pytest.skip("there is no Python that another user may run")
    options = ("--uid", "nobody", "--ready-when", "said")
    program = f"import sys, runpy; sys.argv[1:] = ['READY=1']; exec({Path(NOTIFIER).read_text()!r}); sys.stdin.read()"
    fastlb.ok("start", "--fork", "--name", "app", *QUICK, *options, python, "--", "-c", program)
    assert statuses(fastlb.app()) == ["online"]


ASGI_APP = """
import asyncio, json, os
import fastlb.worker

def ready_when(path):
    if os.path.exists(path):
        fastlb.worker.ready()
    else:
        asyncio.get_running_loop().call_later(0.01, ready_when, path)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/unready":
        fastlb.worker.unready()
        ready_when(scope["query_string"].decode())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""
NODE_APP = """
const fs = require('fs')
require('http').createServer((request, response) => {
  const [path, file] = request.url.split('?')
  if (path === '/unready') {
    process.send('unready')
    const timer = setInterval(() => {
      if (fs.existsSync(file)) { clearInterval(timer); process.send('ready') }
    }, 10)
  }
  response.setHeader('connection', 'close')
  response.end(String(process.pid))
}).listen(process.env.PORT)
"""


@pytest.mark.parametrize("kind", ["python", "node"])
def test_worker_that_takes_its_readiness_back_gets_no_connections_until_it_gives_it_again(
    fastlb: Fastlb, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "words.py").write_text(ASGI_APP)
    (tmp_path / "words.js").write_text(NODE_APP)
    if kind == "node":
        app = start_node(fastlb, tmp_path / "words.js", "--settle", "0.1")
    else:
        app = fastlb.start("words:app", "--app-dir", str(tmp_path), "--workers", "2")
    gate = tmp_path / "gate"
    unready = int(app.get(f"/unready?{gate}").body)
    wait_until(lambda: sorted(statuses(app)) == ["online", "unready"], "one is not ready any more")
    assert unready not in answering(app, 6)
    gate.touch()
    wait_until(lambda: statuses(app) == ["online"] * 2, "it is ready again")
    wait_until(lambda: unready in answering(app, 2), "it gets connections again")


def answering(app: App, requests: int) -> Counter[int]:
    return Counter(int(app.get().body) for _ in range(requests))


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (NOTIFIER, ("--ready-when", "serving"), "--ready-when serving: this has no meaning"),
        (NOTIFIER, ("--ready-when", "port"), "--ready-when port: it is not known where a process listens: PORT is not"),
        (NOTIFIER, ("--ready-when", "port", "--env", "PORT=x"), "PORT is 'x': give --env PORT=NUMBER"),
        (NOTIFIER, ("--ready-when", "port", "--bind", "127.0.0.1:0"), "--ready-when port: with --bind"),
        (NOTIFIER, ("--ready-when", "uptime", "--wait-ready"), "--wait-ready: this means --ready-when said"),
        (str(NODE_APPS / "http.js"), ("--ready-when", "port"), "which is a Node app: give serving or said"),
    ],
)
def test_proof_that_cannot_be_is_refused(fastlb: Fastlb, target: str, options: tuple[str, ...], message: str) -> None:
    fork = ("--fork",) if target == NOTIFIER else ()
    result = fastlb.cli("start", *fork, target, "--name", "app", *options)
    assert result.returncode == 2
    assert message in result.stderr
