"""`fastlb logs` of real apps: plain files, and yet worker, stream and time of each line, also of what comes."""

import json
import os
import signal
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.support.fastlb_process import App, Fastlb
from tests.support.waiting import scaled, wait_until


def shown(fastlb: Fastlb, *options: str) -> list[dict[str, Any]]:
    lines = fastlb.ok("logs", "app", "--json", "--nostream", "--lines", "1000", *options).stdout.splitlines()
    return [json.loads(line) for line in lines]


def is_written(app: App, word: str) -> bool:
    return word in app.log("out") and word in app.log("error")


def say(app: App, *words: str) -> None:
    """Have a worker print each word to both streams, and wait until the supervisor has written it."""
    for word in words:
        app.get(f"/print?{word}")
        wait_until(partial(is_written, app, word), f"{word} is written")


def test_plain_lines_have_worker_stream_and_time(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2", "--balance", "round-robin", "--handover-timeout", "30s")
    say(app, "apple", "pear")
    lines = [line for line in shown(fastlb) if line["message"] in ("apple", "pear")]
    assert [line["message"] for line in lines] == ["apple", "apple", "pear", "pear"]
    assert {line["worker"] for line in lines} == {0, 1}
    assert {line["pid"] for line in lines} == set(app.worker_pids)
    assert sorted(line["stream"] for line in lines) == ["err", "err", "out", "out"]
    assert app.log("out") == "apple\npear\n"
    everything = shown(fastlb)
    assert everything[0]["stream"] == "event"
    assert all(before["timestamp"] <= after["timestamp"] for before, after in pairwise(everything))
    (worker,) = {line["worker"] for line in lines if line["message"] == "pear"}
    own = shown(fastlb, "--worker", str(worker), "--out")
    assert [line["message"] for line in own] == ["pear"]


def test_streams_that_share_a_file_are_told_apart(fastlb: Fastlb, tmp_path: Path) -> None:
    path = tmp_path / "both.log"
    app = fastlb.start("asgi_probe:app", "--workers", "1", "--out-file", str(path), "--error-file", str(path))
    app.get("/print?apple")
    wait_until(lambda: path.read_text().count("apple") == 2, "both lines are written")
    assert [line["stream"] for line in shown(fastlb, "--out", "--grep", "apple")] == ["out"]
    assert [line["stream"] for line in shown(fastlb, "--err", "--grep", "apple")] == ["err"]


def test_following_shows_lines_and_events_once_across_a_rotation(fastlb: Fastlb, tmp_path: Path) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    say(app, "early")
    result = tmp_path / "shown"
    with result.open("w") as file:
        following = fastlb.popen(
            "logs", "app", "--follow", "--out", "--events", "--format", "--lines", "1000", stdout=file
        )
    wait_until(lambda: "message=early" in result.read_text(), "the early line is shown")
    moved = fastlb.home / "logs" / "app-out.log.1"
    os.rename(fastlb.home / "logs" / "app-out.log", moved)
    os.kill(app.show()["pid"], signal.SIGUSR1)
    wait_until((fastlb.home / "logs" / "app-out.log").exists, "the file is made anew")
    say(app, "late")
    app.ok("stop")
    following.communicate(timeout=scaled(20))
    assert following.returncode == 0
    lines = result.read_text().splitlines()
    assert [line.partition("id=")[2] for line in lines if "type=out" in line] == [
        "0 type=out message=early",
        "0 type=out message=late",
    ]
    events = [line.partition("message=")[2].split()[1] for line in lines if "type=event" in line]
    for name in ("supervisor_started", "worker_admitted", "signal_received", "stop_asked"):
        assert events.count(name) <= 1, f"{name} is shown once"
    assert events[0] == "supervisor_started"
    assert len(events) == len({line for line in lines if "type=event" in line}), "each event once"
