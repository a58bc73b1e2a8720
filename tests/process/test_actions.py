"""`fastlb trigger` with Python workers: what they have, what apps offer, and workers that are blocked."""

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.support.client import Connection, get, kept_busy
from tests.support.fastlb_process import App, CliResult, Fastlb
from tests.support.waiting import scaled, wait_until

SVG = "{http://www.w3.org/2000/svg}"


def start(fastlb: Fastlb, target: str, *options: str) -> App:
    return fastlb.start(f"acts:{target}", *options)


def trigger(fastlb: Fastlb, *words: str) -> CliResult:
    return fastlb.cli("trigger", "app", *words)


def answers(fastlb: Fastlb, *words: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(trigger(fastlb, *words, "--json").stdout)
    return told


@pytest.mark.parametrize("target", ["asgi", "wsgi"])
def test_each_worker_does_what_the_app_offers(fastlb: Fastlb, target: str) -> None:
    app = start(fastlb, target, "--workers", "2")
    said = answers(fastlb, "echo", "books")
    assert [(one["worker"], one["pid"], one["ok"]) for one in said] == [
        (number, pid, True) for number, pid in enumerate(app.worker_pids)
    ]
    assert [json.loads(one["text"]) for one in said] == [{"said": "books"}] * 2
    assert json.loads(answers(fastlb, "echo", "--worker", "1")[0]["text"]) == {"said": "nothing"}
    assert trigger(fastlb, "say-hello", "--worker", "0").stdout == "app: worker 0: hello\n"
    assert "actions: echo, fails, gc, heap, large, profile, say-hello, stacks" in trigger(fastlb).stdout
    assert "collected" in trigger(fastlb, "gc").stdout
    app.ok("stop")
    assert "app is stopped, so no worker can do it" in trigger(fastlb, "gc").stderr


def test_what_cannot_be_done_is_said_with_its_exit_code(fastlb: Fastlb) -> None:
    start(fastlb, "asgi")
    for words, code, message in (
        (("ech",), 2, "there is no action 'ech'; did you mean echo?"),
        (("zzzzzz",), 2, "there is no action 'zzzzzz'; there are: echo, fails, gc"),
        (("echo", "x" * 70_000), 2, "the parameter has more than 65536 bytes"),
        (("echo", "--timeout", "0"), 2, "must be above 0"),
        (("say-hello", "x"), 1, "say-hello takes no parameter"),
        (("profile", "0"), 1, "must be seconds, from 1 to 300"),
        (("echo", "--worker", "7"), 1, "no worker 7 runs now"),
    ):
        refused = trigger(fastlb, *words)
        assert refused.returncode == code, words
        assert message in refused.stderr, words
    failed = trigger(fastlb, "fails")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: app: worker 0:\nTraceback")
    assert failed.stderr.endswith("LookupError: as it was told\n")
    assert "running.py" not in failed.stderr
    cut = answers(fastlb, "large")[0]["text"]
    assert cut.endswith("\n[cut here: it was 5000000 characters long]")
    assert 700_000 < len(json.dumps(cut)) < 1 << 20


def block(app: App) -> threading.Thread:
    """Have a worker stand still until somebody opens and closes the FIFO for writing."""
    asking = threading.Thread(target=get, args=(app.address, "/block", scaled(60)))
    asking.start()
    return asking


def test_blocked_worker_shows_where_it_stands_and_delays_nobody(fastlb: Fastlb, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    app = start(fastlb, "asgi", "--workers", "2", "--env", f"FIFO={fifo}")
    asking = block(app)

    def standing() -> list[int]:
        return [one["worker"] for one in answers(fastlb, "stacks") if "stand_still_here" in one["text"]]

    wait_until(lambda: len(standing()) == 1, "one of them shows that it stands still")
    (blocked,) = standing()
    said = {one["worker"]: one for one in answers(fastlb, "say-hello")}
    assert said[1 - blocked]["text"] == "hello"
    assert not said[blocked]["ok"]
    assert "event loop of this worker is blocked, and nothing was done" in said[blocked]["text"]
    with fifo.open("wb"):
        pass
    asking.join(scaled(10))
    assert trigger(fastlb, "say-hello", "--worker", str(blocked)).stdout == f"app: worker {blocked}: hello\n"


def test_worker_whose_interpreter_is_held_is_said_not_to_answer(fastlb: Fastlb) -> None:
    app = start(fastlb, "wsgi", "--workers", "1")
    (pid,) = app.worker_pids
    with Connection(app.address) as asking:
        asking.send("/hold")
        wait_until(lambda: is_pausing(pid), "it holds its interpreter")
        refused = trigger(fastlb, "stacks")
        assert refused.returncode == 1
        assert "does not answer: its interpreter is held" in refused.stderr
        os.kill(pid, 9)
        wait_until(lambda: app.entry()["restarts"] == 1, "it is replaced")
        fastlb.allow_in_logs("worker_crashed")


def is_pausing(pid: int) -> bool:
    """Whether a thread of the process sleeps in pause(2)."""
    return any("pause" in (task / "wchan").read_text() for task in Path(f"/proc/{pid}/task").iterdir())


def test_profile_is_a_flame_graph_that_names_what_is_hot(fastlb: Fastlb) -> None:
    app = start(fastlb, "wsgi", "--workers", "1")
    with kept_busy(app.address):
        (answer,) = answers(fastlb, "profile", "1")
    assert answer["ok"], answer["text"]
    assert "most in use_the_processor" in answer["text"]
    path = Path(answer["file"])
    assert path.parent == fastlb.home / "logs"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    tree = ElementTree.parse(path).getroot()
    assert tree.tag == f"{SVG}svg"
    titles = [title.text or "" for title in tree.iter(f"{SVG}title")]
    assert any(title.startswith("use_the_processor (apps/acts.py:") for title in titles)


def test_heap_shows_what_has_grown_since_the_last_call(fastlb: Fastlb) -> None:
    app = start(fastlb, "wsgi", "--workers", "1")
    assert "tracing of allocations has begun" in trigger(fastlb, "heap").stdout
    app.get("/")
    shown = trigger(fastlb, "heap").stdout
    assert "MiB traced" in shown
    assert "grown since the last call:" in shown
    assert trigger(fastlb, "heap", "stop").stdout == "app: worker 0: allocations are not traced any more\n"


def test_app_is_stopped_while_an_action_runs(fastlb: Fastlb) -> None:
    app = start(fastlb, "asgi", "--workers", "1")
    asking = fastlb.popen("trigger", "app", "profile", "300")
    wait_until(lambda: list((fastlb.home / "logs").glob("app-action-0-*.svg")), "it has begun")
    app.ok("stop")
    output, errors = asking.communicate(timeout=scaled(20))
    assert (asking.returncode, output) == (1, "")
    assert "its process has ended" in errors
    assert list((fastlb.home / "logs").glob("app-action-*")) == []
