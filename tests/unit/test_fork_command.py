"""What runs a target in fork mode: by its interpreter, its suffix, its first line, or itself."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from fastlb.supervisor.errors import FastlbError, UsageError
from fastlb.supervisor.fork.runtime import listener_name
from fastlb.supervisor.fork.target.command import ProgramCommand, program_command
from fastlb.supervisor.processes.environment import app_environment
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.programs import write_program

PROGRAMS = ("bash", "sh", "ruby", "php", "perl", "java", "npx", "serve", "tool")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with scripts, and a PATH on which every interpreter is a file of ours."""
    for name in PROGRAMS:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        write_program(path, "", first="#!/usr/bin/env node" if name == "npx" else "#!/bin/sh")
    app = tmp_path / "app"
    app.mkdir()
    for name in ("a.sh", "a.bash", "a.rb", "a.php", "a.pl", "a.jar", "a.py", "with space.sh"):
        (app / name).write_text("")
    write_program(app / "run", "")
    write_program(app / "run.rb", "", first="#!/usr/bin/env ruby")
    (app / "lines").write_text("#!/usr/bin/env  -S ruby -w\n")
    (app / "data").write_text("")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.chdir(app)
    return tmp_path


def command(target: str, **settings: Any) -> ProgramCommand:
    config = AppConfig(target=target, name="app", exec_mode="fork", **settings)
    return program_command(config, app_environment(config, os.environ).variables)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("a.sh", "BIN/bash a.sh"),
        ("./a.bash", "BIN/bash ./a.bash"),
        ("a.rb", "BIN/ruby a.rb"),
        ("a.php", "BIN/php a.php"),
        ("a.pl", "BIN/perl a.pl"),
        ("a.jar", "BIN/java -jar a.jar"),
        ("a.py", f"{sys.executable} a.py"),
        ("run", "./run"),
        ("./run", "./run"),
        ("run.rb", "./run.rb"),
        ("tool", "BIN/tool"),
        ("tool -x 'b c'", "BIN/tool -x b_c"),
        ("./run -x", "./run -x"),
    ],
)
def test_target_says_what_runs_it(directory: Path, target: str, words: str) -> None:
    expected = [word.replace("BIN", str(directory / "bin")) for word in words.split()]
    assert [word.replace("b c", "b_c") for word in command(target).argv] == expected


def test_name_with_a_space_is_a_file_if_there_is_one(directory: Path) -> None:
    assert command("with space.sh", args=("x",)).argv == (f"{directory}/bin/bash", "with space.sh", "x")


def test_first_line_runs_what_cannot_be_executed() -> None:
    assert command("lines").argv == ("/usr/bin/env", "-S ruby -w", "lines")


def test_shell_of_a_script_is_sh_where_there_is_no_bash(directory: Path) -> None:
    (directory / "bin" / "bash").unlink()
    assert command("a.sh").argv == (f"{directory}/bin/sh", "a.sh")


@pytest.mark.parametrize(
    ("target", "interpreter", "words"),
    [
        ("a.sh", "ruby", "BIN/ruby -v -w a.sh"),
        ("run.rb", "ruby", "BIN/ruby -v -w run.rb"),
        ("data", "BIN/perl", "BIN/perl -v -w data"),
        ("a.rb", "", "BIN/ruby -v -w a.rb"),
        ("a.jar", "", "BIN/java -jar -v -w a.jar"),
    ],
)
def test_interpreter_and_its_options_stand_in_front(
    directory: Path, target: str, interpreter: str, words: str
) -> None:
    folder = str(directory / "bin")
    given = command(target, interpreter=interpreter.replace("BIN", folder), interpreter_args=("-v -w",))
    assert given.argv == tuple(word.replace("BIN", folder) for word in words.split())


def test_none_executes_a_script_itself() -> None:
    assert command("run.rb", interpreter="none").argv == ("./run.rb",)


def test_python_of_the_active_environment_runs_scripts(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(directory))
    assert command("a.py").argv[0] == sys.executable, "there is none in it"
    os.symlink(sys.executable, directory / "bin" / "python")
    assert command("a.py").argv == (f"{directory}/bin/python", "a.py")
    assert command("a.py").env == {"PYTHONUNBUFFERED": "1"}
    assert command("a.rb").env == {}


@pytest.mark.parametrize(("target", "speaks"), [("npx", True), ("serve", False), ("a.sh", False), ("run", False)])
def test_what_node_runs_has_a_channel(target: str, speaks: bool) -> None:
    assert command(target).speaks_node is speaks


@pytest.mark.parametrize(
    ("target", "settings", "error", "reason"),
    [
        ("data", {}, UsageError, "`chmod +x data`, or say by --interpreter what runs it"),
        ("nothing", {}, UsageError, "no program of that name on PATH"),
        ("./rnu", {}, UsageError, "did you mean ./run?"),
        ("nothing", {"interpreter": "ruby"}, UsageError, "there is no file nothing"),
        ("a.rb", {"interpreter": "rubinius"}, FastlbError, "there is no program 'rubinius' on PATH"),
        ("a.rb", {"interpreter": "./data"}, UsageError, "no file that can be executed"),
        ("a.rb", {"interpreter_args": ("'x",)}, UsageError, "--interpreter-args 'x: no closing quotation"),
        ("tool 'x", {}, UsageError, "no closing quotation"),
        ("run", {"interpreter_args": ("-w",)}, UsageError, "run is executed itself: give arguments after --"),
    ],
)
def test_what_cannot_run_is_refused(
    target: str, settings: dict[str, Any], error: type[FastlbError], reason: str
) -> None:
    with pytest.raises(error) as refused:
        command(target, **settings)
    assert reason in refused.value.message


def test_script_without_its_interpreter_is_refused(directory: Path) -> None:
    (directory / "bin" / "ruby").unlink()
    with pytest.raises(FastlbError, match="there is no program 'ruby' on PATH"):
        command("a.rb")


@pytest.mark.parametrize(
    ("spec", "name"), [("127.0.0.1:80", "127.0.0.1-80"), ("[::1]:80", "[--1]-80"), ("unix:/run/a", "unix-/run/a")]
)
def test_names_of_sockets_have_no_colon(spec: str, name: str) -> None:
    assert listener_name(spec) == name
