"""`fastlb top`: what a real app does now, as plain text."""

from tests.support.fastlb_process import Fastlb


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
