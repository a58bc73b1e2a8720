"""The entry of the command: exit codes, and how it ends when nobody listens."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fastlb.cli.main import main
from fastlb.supervisor.home.paths import AppPaths
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.fastlb_process import APPS, COMMAND, Fastlb

from .conftest import remember


def test_without_a_command_the_help_is_shown(fastlb: Fastlb) -> None:
    result = fastlb.cli()
    assert result.returncode == 2
    assert "See what runs:" in result.stdout


@pytest.mark.parametrize("module", ["fastlb", "fastlb.cli"])
def test_module_is_the_command(fastlb: Fastlb, module: str) -> None:
    command = [sys.executable, "-m", module, "--version"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed == fastlb.ok("--version").stdout == fastlb.ok("version").stdout == fastlb.ok("-V").stdout
    assert printed.startswith("fastlb 0.")


def test_other_systems_get_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert main() == 1
    assert capsys.readouterr().err.startswith("fastlb runs on Linux only")


def test_reader_that_went_away_is_no_traceback(fastlb: Fastlb) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        [COMMAND, "--help"], env=fastlb.env, stdout=writing, stderr=subprocess.PIPE, check=False, cwd=APPS
    )
    os.close(writing)
    assert result.stderr == b""


@pytest.mark.parametrize("command", [["list"], ["list", "--json"], ["logs", "--nostream"]])
def test_output_that_cannot_be_written_is_one_sentence(fastlb: Fastlb, stopped: AppPaths, command: list[str]) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [COMMAND, *command], env=fastlb.env, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert result.returncode == 1
    assert result.stderr == "error: cannot write the output: No space left on device\n"


def test_reader_of_the_logs_of_several_apps_that_went_away_is_no_traceback(fastlb: Fastlb, stopped: AppPaths) -> None:
    other = remember(fastlb, AppConfig(target="asgi_probe:app", name="other"))
    for paths in (stopped, other):
        paths.out_log.write_text("a line that is long enough to fill the buffer of a pipe\n" * 4000)
    reading, writing = os.pipe()
    os.close(reading)
    command = [str(COMMAND), "logs", "--nostream", "--lines", "4000"]
    result = subprocess.run(command, env=fastlb.env, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert result.stderr == b""


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["list", "logs --nostream", "show shop"])
def test_closed_output_is_no_failure(fastlb: Fastlb, stopped: AppPaths, command: str, closed: str) -> None:
    shell = ["sh", "-c", f"exec {COMMAND} {command} {closed}"]
    result = subprocess.run(shell, env=fastlb.env, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_character_that_the_terminal_cannot_encode_is_escaped(fastlb: Fastlb, stopped: AppPaths) -> None:
    stopped.out_log.write_text("caf\u00e9 \u2615\n", encoding="utf-8")
    fastlb.env["PYTHONIOENCODING"] = "ascii"
    assert fastlb.ok("logs", "shop", "--out").stdout == "shop out | caf\\xe9 \\u2615\n"


def test_directory_that_was_removed_is_one_sentence(fastlb: Fastlb, tmp_path: Path) -> None:
    directory = tmp_path / "gone"
    command = f"cd {directory} && rmdir {directory} && exec {COMMAND} start app:app"
    directory.mkdir()
    result = subprocess.run(["sh", "-c", command], env=fastlb.env, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "error: the current directory was removed: go to another one\n"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("fastlb start sh", ["plain,shop", "file,sh"]),
        ("fastlb run sr", ["file,sr"]),
        ("fastlb start --ssl-certfile ce", ["file,ce"]),
        ("fastlb start --cwd sr", ["dir,sr"]),
        ("fastlb start --balance ip", ["plain,ip-hash"]),
    ],
)
def test_completion_offers_files_and_stopped_apps(
    fastlb: Fastlb, stopped: AppPaths, words: str, offered: list[str]
) -> None:
    asked = {"_FASTLB_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    result = subprocess.run([COMMAND], env=fastlb.env | asked, capture_output=True, text=True, check=False)
    assert result.stdout.splitlines() == offered


def test_value_that_is_not_utf_8_is_refused_and_not_shown(fastlb: Fastlb) -> None:
    command = [str(COMMAND), "start", "a:b", "--env", "SECRET=canary\udcff"]
    result = subprocess.run(command, env=fastlb.env, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "--env: only UTF-8" in result.stderr
    assert "canary" not in result.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("lst", "there is no command 'lst'; did you mean list?"),
        ("frobnicate", "there is no command 'frobnicate'; see fastlb --help"),
        ("start", "Missing argument 'TARGET'"),
        ("start a:b c:d", "unexpected extra argument"),
        ("start a:b --instances 4", "fastlb start has no option --instances; did you mean --workers 4?"),
        ("start a:b -i max", "did you mean --workers max?"),
        ("start a:b --port 9000", "did you mean --bind 127.0.0.1:9000?"),
        ("start a:b --uds=/run/x.sock", "did you mean --bind unix:/run/x.sock?"),
        ("start a:b --host 0.0.0.0", "did you mean --bind 0.0.0.0:8000?"),
        ("start a:b --timeout-graceful-shutdown 5", "did you mean --kill-timeout 5?"),
        ("start a:b --wrokers 4", "did you mean --workers?"),
        ("start a:b --zzz", "see fastlb start --help"),
        ("start a:b --pid /run/x.pid", "has no option --pid; there is no pid file"),
        ("start a:b --reload", "`fastlb run --reload` is for a laptop"),
        ("start a:b -D", "always runs in the background"),
        ("start a:b -k uvicorn.workers.UvicornWorker", "give --interface asgi or wsgi"),
        ("start a:b --preload", "every worker imports the app itself"),
        ("start a:b --timeout 90", "did you mean --request-timeout 90?"),
        ("start a:b --chdir /srv", "did you mean --cwd /srv?"),
        ("deploy production", "there is no command 'deploy'; it is PM2's, and is not here: Let git, or your pipeline"),
        ("deploy shop", "put the new code where the app runs"),
        ("delet shop", "there is no command 'delet'; see fastlb --help"),
        ("stpo shop", "there is no command 'stpo'; see fastlb --help"),
        ("resart shop", "there is no command 'resart'; see fastlb --help"),
        (
            "start a:b --kill-timeout 5000",
            "fastlb start --kill-timeout: 5000 may mean 1h23m20s or, in milliseconds, 5s: type the unit, 5000s or",
        ),
        ("run a:b --hang-timeout 601", "601 may mean 10m1s or, in milliseconds, 601ms"),
        ("run a:b -w 0", "fastlb run --workers: 0 is too small: give at least 1 and at most 512, or max"),
        ("start a:b -w -1", "-1 is too small"),
        ("start a:b -w 1000000", "1000000 is too large"),
        ("start a:b -b 1:2:3", "--bind 1:2:3: an IPv6 address is written in brackets"),
        ("start a:b -b unix:@x", "an abstract socket has neither owner nor mode"),
        ("start server", "server:app"),
        ("start server.py", "there is no file server.py"),
        ("start server.js", "there is no file"),
        ("start a:b -n all", "choose another --name"),
        ("start a:b --env A", "'A' is not KEY=VALUE"),
        ("list --jsn", "did you mean --json?"),
        ("scale shop --frce", "not a whole number or max"),
        ("logs --lines -1", "--lines"),
    ],
)
def test_mistake_is_answered_with_what_to_type(
    args: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASTLB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "argv", ["fastlb", *args.split()])
    assert main() == 2
    printed, complaints = capsys.readouterr()
    assert complaints.startswith("error: ")
    assert message in complaints
    assert complaints.count("\n") == 1
    assert printed == ""
    assert not (tmp_path / "home").exists(), "nothing was touched"
