"""A deploy that switches a symbolic link: what was started inside it runs the new release after a reload."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import get
from tests.support.fastlb_process import App, Fastlb
from tests.support.node_packages import node_binary
from tests.support.waiting import wait_until

QUICK = ("--name", "app", "--bind", "127.0.0.1:0", "--settle", "0")
PYTHON_APP = """
from pathlib import Path
RELEASE = Path(__file__).parent.name.encode()
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", str(len(RELEASE)))])
    return [RELEASE]
"""
NODE_APP = """
const release = require('path').basename(__dirname)
require('http').createServer((_, response) => response.end(release)).listen(3000, '127.0.0.1')
"""
TARGETS = [
    "web:app",
    pytest.param("web.js", marks=pytest.mark.skipif(not node_binary(), reason="node is not installed")),
]


class Releases:
    """Two releases, and the link `current` to one of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.current = folder / "current"
        for name in ("one", "two"):
            (folder / name).mkdir()
            (folder / name / "web.py").write_text(PYTHON_APP)
            (folder / name / "web.js").write_text(NODE_APP)
        self.switch_to("one")

    def switch_to(self, name: str) -> None:
        link = self.folder / "next"
        link.symlink_to(name)
        link.rename(self.current)

    def remove(self, name: str) -> None:
        shutil.rmtree(self.folder / name)


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def inside(releases: Releases, fastlb: Fastlb) -> dict[str, Any]:
    """As a shell runs a command after `cd current`: the link is only in $PWD."""
    return {"cwd": releases.current, "env": fastlb.env | {"PWD": str(releases.current)}}


def start(fastlb: Fastlb, releases: Releases, target: str) -> App:
    with fastlb.popen("start", target, *QUICK, **inside(releases, fastlb)) as starting:
        _, errors = starting.communicate()
    assert starting.returncode == 0, errors
    return fastlb.app()


@pytest.mark.parametrize("target", TARGETS)
def test_reload_runs_what_the_link_names_now(fastlb: Fastlb, releases: Releases, target: str) -> None:
    app = start(fastlb, releases, target)
    assert app.get().body == b"one"
    releases.switch_to("two")
    app.ok("reload")
    assert app.get().body == b"two"


@pytest.mark.parametrize("target", TARGETS)
def test_reload_works_when_the_old_release_was_removed(fastlb: Fastlb, releases: Releases, target: str) -> None:
    app = start(fastlb, releases, target)
    releases.switch_to("two")
    releases.remove("one")
    app.ok("reload")
    assert app.get().body == b"two"
    os.kill(app.dispatcher_pid, signal.SIGKILL)
    assert app.get(timeout=15).body == b"two"
    app.ok("scale", "2")
    app.wait_online(2)


@pytest.mark.parametrize("target", TARGETS)
def test_hangup_of_a_foreground_app_runs_what_the_link_names_now(
    fastlb: Fastlb, releases: Releases, target: str
) -> None:
    with fastlb.popen("run", target, "--log-files", *QUICK, **inside(releases, fastlb)) as running:
        app = fastlb.app()
        wait_until(lambda: app.log("supervisor").count("start_done"), "it serves")
        releases.switch_to("two")
        releases.remove("one")
        os.kill(running.pid, signal.SIGHUP)
        wait_until(lambda: "reload_done" in app.log("supervisor"), "it is reloaded")
        assert app.get().body == b"two"
        running.send_signal(signal.SIGTERM)
        running.communicate()


def test_stopped_app_starts_with_what_the_link_names_now(fastlb: Fastlb, releases: Releases) -> None:
    app = start(fastlb, releases, "web:app")
    app.ok("stop")
    releases.switch_to("two")
    releases.remove("one")
    fastlb.ok("start", "app")
    assert get(fastlb.app().address).body == b"two"


@pytest.mark.parametrize("pwd", ["", "relative", "/", "/no/such/directory"])
def test_pwd_that_is_not_the_directory_does_not_count(fastlb: Fastlb, releases: Releases, pwd: str) -> None:
    environment = fastlb.env | {"PWD": pwd}
    with fastlb.popen("start", "web:app", *QUICK, cwd=releases.current, env=environment) as starting:
        assert starting.wait() == 0
    assert fastlb.app().show()["settings"]["cwd"] == str(releases.folder / "one")
