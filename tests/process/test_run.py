"""`fastlb run`: what it writes where, and what is left of it. Its signals are in test_start_stop.py."""

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import scaled, wait_until

OPTIONS = ("--name", "app", "--bind", "127.0.0.1:0")
PRINTS_JSON = """
import json
def app(environ, start_response):
    print(json.dumps({"path": environ["PATH_INFO"]}), flush=True)
    start_response("200 OK", [])
    return [b""]
"""


def running(fastlb: Fastlb, *options: str, target: str = "asgi_probe:app", **popen: object) -> "subprocess.Popen[str]":
    """Run an app in the foreground, and return when it is online."""
    process = fastlb.popen("run", target, *OPTIONS, *options, **popen)
    wait_until(lambda: [e for e in fastlb.list_json() if e["status"] == "online"], "it is online", 20)
    return process


def ended(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """Stop it; return what it has written."""
    process.send_signal(signal.SIGTERM)
    written = process.communicate(timeout=scaled(20))
    assert process.returncode == 0, written
    return written


def test_pipe_gets_the_lines_as_they_are_and_no_file_is_written(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "prints.py").write_text(PRINTS_JSON)
    process = running(fastlb, target="prints:app", cwd=tmp_path)
    fastlb.app().get("/hello")
    output, _ = ended(process)
    assert [json.loads(line) for line in output.splitlines()] == [{"path": "/hello"}]
    assert list((fastlb.home / "logs").iterdir()) == []


def test_prefix_and_files_can_be_had(fastlb: Fastlb) -> None:
    process = running(fastlb, "--prefix", "--log-files")
    fastlb.app().get("/print?hello")
    output, errors = ended(process)
    assert "0|app | hello\n" in output + errors
    assert "hello" in fastlb.app().log("out") + fastlb.app().log("error")
    assert "worker_admitted" in fastlb.app().log("supervisor")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--time", "--log-worker"), r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d: 0\|app \| hello"),
        (
            ("--log-type", "json"),
            r'\{"timestamp":"[^"]+","app":"app","worker":0,"pid":\d+,"stream":"out","message":"hello"\}',
        ),
    ],
)
def test_lines_look_as_they_do_in_files(fastlb: Fastlb, options: tuple[str, ...], line: str) -> None:
    process = running(fastlb, "--workers", "1", *options)
    fastlb.app().get("/print?hello")
    output, _ = ended(process)
    (shown,) = (text for text in output.splitlines() if "hello" in text)
    assert re.fullmatch(line, shown)


def test_lines_of_a_run_without_files_can_be_followed(fastlb: Fastlb, tmp_path: Path) -> None:
    process = running(fastlb)
    app, shown = fastlb.app(), tmp_path / "shown"
    with shown.open("w") as file:
        following = fastlb.popen("logs", "app", "--follow", stdout=file)
        wait_until(lambda: app.get("/print?hello") and "hello\n" in shown.read_text(), "a line is shown")
    ended(process)
    following.communicate(timeout=scaled(20))


def test_app_that_was_run_is_forgotten_at_its_end(fastlb: Fastlb) -> None:
    process = running(fastlb)
    fastlb.app().ok("scale", "2")
    ended(process)
    assert fastlb.list_json() == []
    assert not (fastlb.home / "apps" / "app").exists()


def test_run_changes_nothing_of_an_app_that_was_started_before(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app", "--workers", "1")
    fastlb.app().ok("stop")
    before = (fastlb.home / "apps" / "app" / "config.json").read_bytes()
    ended(running(fastlb, "--workers", "2"))
    assert (fastlb.home / "apps" / "app" / "config.json").read_bytes() == before
    assert fastlb.app().entry()["status"] == "stopped"


class TestWithoutAHome:
    """FASTLB_HOME cannot be made or used."""

    @pytest.fixture(autouse=True)
    def unusable(self, fastlb: Fastlb) -> None:
        fastlb.env["FASTLB_HOME"] = "/dev/null/home"

    def test_run_has_a_temporary_one_and_says_so(self, fastlb: Fastlb) -> None:
        process = fastlb.popen("run", "asgi_probe:app", *OPTIONS)
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("fastlb | cannot use /dev/null/home: ")
        found = re.search(r"commands reach this app with FASTLB_HOME=(\S+)$", said)
        assert found
        fastlb.env["FASTLB_HOME"] = found[1]
        wait_until(lambda: [e for e in fastlb.list_json() if e["status"] == "online"], "it is online", 20)
        fastlb.ok("stop", "app")
        process.communicate(timeout=scaled(20))
        assert process.returncode == 0
        assert not Path(found[1]).exists()

    def test_files_that_were_asked_for_need_one(self, fastlb: Fastlb) -> None:
        result = fastlb.cli("run", "asgi_probe:app", *OPTIONS, "--log-files")
        assert result.returncode == 1
        assert "cannot use /dev/null/home" in result.stderr

    def test_start_needs_one(self, fastlb: Fastlb) -> None:
        result = fastlb.cli("start", "asgi_probe:app", *OPTIONS)
        assert result.returncode == 1
        assert "cannot use /dev/null/home" in result.stderr


def test_a_descriptor_that_is_not_open_is_named_when_several_apps_are_run(fastlb: Fastlb, tmp_path: Path) -> None:
    binds = {"one": "fd:77", "other": "127.0.0.1:0"}
    apps = (f'[apps.{name}]\ntarget = "asgi_probe:app"\nbind = ["{bind}"]\n' for name, bind in binds.items())
    (tmp_path / "fastlb.toml").write_text("".join(apps))
    result = fastlb.cli("run", "fastlb.toml", cwd=tmp_path)
    assert result.returncode == 1
    assert "--bind fd:77: descriptor 77 is not open" in result.stderr
