"""The access log and its settings, from the command line to the log file."""

from pathlib import Path

import pytest

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import wait_until


@pytest.mark.parametrize("target", ["asgi_probe:app", "wsgi_probe:app"])
def test_format_turns_the_log_on_and_is_kept(fastlb: Fastlb, target: str) -> None:
    app = fastlb.start(target, "--access-log-format", '%(m)s %(U)s %(s)s %(D)s "%(a)s"')
    app.get("/plain")
    wait_until(lambda: "GET /plain 200 " in app.log("out"), "the line is there")
    assert app.show()["settings"]["access_log"] is True
    app.ok("stop")
    fastlb.ok("start", "app", "--no-access-log", "--settle", "0.1")
    fastlb.app().get("/plain")
    fastlb.app().ok("stop")
    assert fastlb.app().log("out").count("GET /plain 200 ") == 1


def test_bad_format_is_refused_before_anything_starts(fastlb: Fastlb) -> None:
    result = fastlb.try_start("wsgi_probe:app", "--access-log-format", "%(x)s")
    assert result.returncode == 2
    assert "--access-log-format: %(x)s is no atom: there are %(h)s, %(l)s" in result.stderr
    assert not (fastlb.home / "apps").exists() or not list((fastlb.home / "apps").iterdir())


def test_name_of_gunicorns_option_is_answered(fastlb: Fastlb) -> None:
    result = fastlb.try_start("wsgi_probe:app", "--access-logformat", "%(h)s")
    assert result.returncode == 2
    assert "did you mean --access-log-format %(h)s?" in result.stderr


def test_log_config_that_is_not_there_is_a_mistake_of_the_caller(fastlb: Fastlb, tmp_path: Path) -> None:
    result = fastlb.try_start("wsgi_probe:app", "--log-config", str(tmp_path / "none.json"))
    assert result.returncode == 2
    assert f"--log-config {tmp_path}/none.json: No such file or directory" in result.stderr
