"""`fastlb top`: what a real app does now, as plain text."""

import shutil

import pytest

from tests.support.fastlb_process import COMMAND, Fastlb
from tests.support.terminal import Terminal
from tests.support.waiting import scaled


def test_what_an_app_does_is_printed_once(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    app.get("/plain")
    result = fastlb.ok("top")
    lines = result.stdout.splitlines()
    assert lines[0].split()[:5] == ["name", "status", "workers", "req/s", "err/s"]
    assert lines[1].split()[:3] == ["app", "online", "2/2"]
    assert lines[1].split()[3].replace(".", "").isdigit()
    assert lines[3] == "app"
    assert [line.split()[2] for line in lines[5:]] == ["online", "online"]
    assert "\x1b" not in result.stdout


def test_stopped_app_has_no_figures(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app").ok("stop")
    lines = fastlb.ok("top", "app").stdout.splitlines()
    assert lines[1].split() == ["app", "stopped", *["-"] * 10]
    assert len(lines) == 2


def test_monit_without_a_terminal_names_what_works_there(fastlb: Fastlb) -> None:
    result = fastlb.cli("monit")
    assert result.returncode == 2
    assert "fastlb top" in result.stderr


def test_monit_that_is_ended_gives_the_terminal_back(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app")
    with Terminal(fastlb, "monit") as terminal:
        terminal.wait_for("online")
        terminal.process.terminate()
        terminal.wait_for("\x1b[?1049l")
        assert terminal.process.wait(scaled(20)) == 128 + 15


def test_monit_refuses_a_terminal_that_cannot_draw(fastlb: Fastlb) -> None:
    with Terminal(fastlb, "monit", term="dumb") as terminal:
        terminal.wait_for("fastlb top")
        assert terminal.process.wait(scaled(20)) == 2


def test_app_that_only_another_user_may_look_at_hides_no_other(fastlb: Fastlb) -> None:
    if not shutil.which("setpriv"):
        pytest.skip("without setpriv (util-linux) root may look at everything")
    fastlb.start("asgi_probe:app").ok("stop")
    other = fastlb.home / "apps" / "other"
    other.mkdir(mode=0o000)
    try:
        drop = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all")
        lines = fastlb.run_program(*drop, str(COMMAND), "top").stdout.splitlines()
        assert [line.split()[:2] for line in lines[1:]] == [["app", "stopped"], ["other", "unresponsive"]]
        shown = fastlb.run_program(*drop, str(COMMAND), "list", "--apps")
        assert "other: Permission denied" in shown.stderr
    finally:
        other.rmdir()
