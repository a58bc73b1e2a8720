"""Log files of real apps are emptied, opened anew and rotated from outside, and go on."""

import os
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.support.fastlb_process import App, Fastlb
from tests.support.waiting import wait_until

KINDS = ("out", "error", "supervisor")


def is_written(app: App, word: str) -> bool:
    return word in app.log("out") and word in app.log("error")


def say(app: App, word: str) -> None:
    """Have a worker print a word to both streams, and wait until the supervisor has written it."""
    app.get(f"/print?{word}")
    wait_until(partial(is_written, app, word), f"{word} is written")


def files_of(fastlb: Fastlb) -> list[Path]:
    return [fastlb.home / "logs" / f"app-{kind}.log" for kind in KINDS]


def test_flush_empties_all_files_of_a_running_app(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    say(app, "early")
    assert fastlb.ok("flush", "app").stdout == "app: 3 log files emptied\n"
    assert "early" not in app.log("out") + app.log("error")
    assert "supervisor_started" not in app.log("supervisor")
    say(app, "late")
    assert app.log("out") == "late\n"
    lines = fastlb.ok("logs", "app", "--out", "--err").stdout.splitlines()
    assert sorted(lines) == ["0|app err | late", "0|app out | late"]


@pytest.mark.parametrize("how", ["reload-logs", "reloadLogs", "SIGUSR1"])
@pytest.mark.parametrize("is_removed", [False, True], ids=["moved", "removed"])
def test_files_are_opened_anew(fastlb: Fastlb, how: str, is_removed: bool) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    say(app, "early")
    for path in files_of(fastlb):
        path.unlink() if is_removed else path.rename(f"{path}.1")
    if how == "SIGUSR1":
        os.kill(app.show()["pid"], signal.SIGUSR1)
    else:
        assert fastlb.ok(how).stdout == "app: log files are opened anew where they were moved\n"
    wait_until(lambda: all(path.exists() for path in files_of(fastlb)), "they are made anew")
    say(app, "late")
    assert app.log("out") == "late\n"
    if not is_removed:
        assert Path(f"{files_of(fastlb)[0]}.1").read_text() == "early\n"


def test_copytruncate_from_outside_leaves_whole_lines_of_known_workers(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    say(app, "a-line-that-is-longer-than-what-follows")
    path = files_of(fastlb)[0]
    shutil.copyfile(path, f"{path}.1")
    os.truncate(path, 0)
    say(app, "late")
    assert app.log("out") == "late\n"
    assert fastlb.ok("logs", "app", "--out").stdout == "0|app out | late\n"


def test_app_that_does_not_run_has_nothing_open(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    app.ok("stop")
    assert fastlb.ok("reload-logs", "app").stdout == "app: it does not run, and has no files open\n"
