"""Python apps whose workers run in another virtual environment, and scripts of Python in fork mode."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.fastlb_process import Fastlb, describe
from tests.support.programs import start_program, try_program, write_program
from tests.support.waiting import wait_until

TELLS = """
import sys
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{sys.prefix} {sys.flags.dev_mode}".encode()})
"""


def make_environment(directory: Path, *, with_fastlb: bool) -> Path:
    """A virtual environment in `directory`, which has what ours has if it has fastlb; return its python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
    if with_fastlb:
        (packages,) = (directory / "lib").glob("python*/site-packages")
        (packages / "ours.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return directory / "bin" / "python"


def test_workers_run_in_another_environment(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "tells.py").write_text(TELLS)
    python = make_environment(tmp_path / "env", with_fastlb=True)
    options = ("--interpreter", "env/bin/python", "--interpreter-args=-X dev", "--cwd", str(tmp_path))
    fastlb.allow_in_logs("never awaited")
    app = fastlb.start("tells:app", "-w", "2", *options)
    assert app.entry()["mode"] == "cluster"
    assert app.get().body.decode() == f"{python.parent.parent} True"
    app.ok("reload")
    assert app.get().body.decode() == f"{python.parent.parent} True"


@pytest.mark.parametrize(
    ("interpreter", "reason"),
    [
        ("env/bin/python", "has no fastlb, whose code runs in the workers: `"),
        ("./not-python", "cannot run workers, and answers 'hello'"),
        ("./old", "has another version of fastlb than this command: `"),
        ("no-such-python", "there is no program 'no-such-python' on PATH"),
        ("./data", "this is no file that can be executed"),
        ("node", "which --interpreter node cannot run"),
    ],
)
def test_interpreter_that_cannot_run_workers_is_refused(
    fastlb: Fastlb, tmp_path: Path, interpreter: str, reason: str
) -> None:
    make_environment(tmp_path / "env", with_fastlb=False)
    write_program(tmp_path / "not-python", "echo hello")
    write_program(tmp_path / "old", "echo fastlb of wire 0")
    (tmp_path / "data").write_text("")
    result = fastlb.try_start("asgi_probe:app", "--interpreter", interpreter, "--cwd", str(tmp_path))
    assert result.returncode in (1, 2), describe(result)
    assert reason in result.stderr
    assert fastlb.list_json() == []


def test_command_that_installs_fastlb_is_told(fastlb: Fastlb, tmp_path: Path) -> None:
    python = make_environment(tmp_path / "env", with_fastlb=False)
    result = fastlb.try_start("asgi_probe:app", "--interpreter", str(python))
    assert f"`{python} -m pip install fastlb==" in result.stderr


def test_options_with_which_python_runs_no_worker_are_refused(fastlb: Fastlb) -> None:
    result = fastlb.try_start("asgi_probe:app", "--interpreter-args=-m http.server")
    assert result.returncode == 2
    assert "--interpreter-args -m: with it Python runs no worker" in result.stderr


@pytest.mark.parametrize("way", ["the interpreter is named", "its environment is active", "neither"])
def test_script_runs_in_the_environment_that_is_meant(fastlb: Fastlb, tmp_path: Path, way: str) -> None:
    (tmp_path / "script.py").write_text("import sys, signal\nprint(sys.prefix)\nsignal.pause()\n")
    environment = tmp_path / "env"
    make_environment(environment, with_fastlb=False)
    options = ("--interpreter", "./env/bin/python") if way == "the interpreter is named" else ()
    fastlb.env.pop("VIRTUAL_ENV", None)
    if way == "its environment is active":
        fastlb.env["VIRTUAL_ENV"] = str(environment)
    app = start_program(fastlb, tmp_path, *options, "script.py")
    assert app.entry()["mode"] == "fork"
    wait_until(lambda: app.log("out"), "what it prints is there at once")
    assert app.log("out") == f"{sys.prefix if way == 'neither' else environment}\n"


def test_other_interpreters_have_their_options(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "script").write_text('[[ $- == *u* ]] && echo "$@"\nsleep 1000 & wait\n')
    options = ("--interpreter", "bash", "--interpreter-args=-u", "script", "--", "-a", "b c")
    app = start_program(fastlb, tmp_path, *options)
    wait_until(lambda: app.log("out") == "-a b c\n", "it has printed")


def test_script_that_is_not_executable_runs_by_its_first_line(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "script").write_text('#!/bin/bash -u\n[[ $- == *u* ]] && echo "$0"\nsleep 1000 & wait\n')
    app = start_program(fastlb, tmp_path, "--fork", "./script")
    wait_until(lambda: app.log("out") == "./script\n", "it has printed")


def test_options_of_a_program_that_is_executed_itself_are_refused(fastlb: Fastlb, tmp_path: Path) -> None:
    result = try_program(fastlb, tmp_path, "--interpreter-args=-x", "sleep", "--", "1000")
    assert result.returncode == 2
    assert "--interpreter-args -x: sleep is executed itself" in result.stderr
