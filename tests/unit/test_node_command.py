"""How a Node worker is started: interpreter, options, script; and what is said when that cannot be."""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fastlb.supervisor.errors import FastlbError, UsageError
from fastlb.supervisor.node.target.command import NodeCommand, node_command
from fastlb.supervisor.node.target.preload_option import PRELOAD
from fastlb.supervisor.processes import programs
from fastlb.supervisor.processes.environment import app_environment
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.processes import is_running
from tests.support.waiting import wait_until

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="there is no node on this machine")


@pytest.fixture(autouse=True)
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app's working directory, with a script, and a `node` of version 20.11.1 that is the only one."""
    directory = tmp_path / "app"
    (directory / "dist").mkdir(parents=True)
    (directory / "dist" / "server.js").write_text("")
    make_node(tmp_path / "bin" / "node", "v20.11.1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("NODE_OPTIONS", raising=False)
    monkeypatch.chdir(directory)
    return directory


def make_node(path: Path, version: str) -> str:
    return make_program(path, f"echo '{version}'")


def make_program(path: Path, body: str) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def install_tsx(directory: Path) -> Path:
    loader = directory / "node_modules" / "tsx" / "dist" / "loader.mjs"
    loader.parent.mkdir(parents=True)
    loader.write_text("")
    return loader


def line(started: NodeCommand, worker_id: int, *taken: int) -> list[str]:
    """The command line of a worker when these ports are taken."""
    return started.for_worker(started.port_for_worker(worker_id, lambda port: port not in taken))


def command(target: str = "dist/server.js", **settings: Any) -> NodeCommand:
    """Without what is loaded into a worker, unless it is asked for."""
    config = AppConfig(target=target, name="a", **{"node_preload": False, **settings})
    return node_command(config, app_environment(config, os.environ).variables)


def refusal(kind: type[FastlbError], target: str = "dist/server.js", **settings: Any) -> str:
    with pytest.raises(FastlbError) as refused:
        command(target, **settings)
    assert type(refused.value) is kind, refused.value
    return refused.value.message


# What is loaded before the app


def test_preload_comes_before_all_options_of_the_user() -> None:
    started = command(node_preload=True, interpreter_args=("--import x",))
    assert started.argv[1:4] == (f"--require={PRELOAD}", "--import", "x")
    assert PRELOAD.is_file()


@pytest.mark.parametrize("option", ["--permission", "--experimental-permission", "--experimental-policy=p.json"])
@pytest.mark.parametrize("by_environment", [False, True])
def test_nothing_is_loaded_where_files_outside_of_the_app_are_forbidden(
    monkeypatch: pytest.MonkeyPatch, option: str, by_environment: bool
) -> None:
    if by_environment:
        monkeypatch.setenv("NODE_OPTIONS", option)
    started = command(node_preload=True, interpreter_args=() if by_environment else (option,))
    assert f"--require={PRELOAD}" not in started.argv


def test_nothing_is_loaded_into_deno(tmp_path: Path) -> None:
    make_program(tmp_path / "bin" / "deno", "exit 1")
    assert f"--require={PRELOAD}" not in command(node_preload=True, interpreter="deno").argv


# Scripts


def test_command_is_node_options_script_arguments(app: Path, tmp_path: Path) -> None:
    started = command(interpreter_args=("--a --b='c d'", "--e"), args=("--port", "1"))
    script = str(app / "dist" / "server.js")
    options = ("--a", "--b=c d", "--e")
    assert started.argv == (str(tmp_path / "bin" / "node"), *options, script, "--port", "1")
    assert started.for_worker(None) == list(started.argv)


@pytest.mark.parametrize(
    ("package", "main"),
    [
        ('{"main": "dist/server.js"}', "dist/server.js"),
        ('{"main": "./dist/server"}', "dist/server.js"),
        ('{"main": "lib"}', "lib/index.js"),
        ('\ufeff{"main": "dist/server.js"}', "dist/server.js"),
        ('{"main": 5}', "index.js"),
        ("{}", "index.js"),
    ],
)
@pytest.mark.parametrize("target", [".", "./", "package.json"])
def test_directory_means_main_of_its_package(app: Path, target: str, package: str, main: str) -> None:
    (app / "lib").mkdir()
    (app / "lib" / "index.js").write_text("")
    (app / "index.js").write_text("")
    (app / "package.json").write_text(package)
    assert command(target).argv[1] == str(app / main)


def test_directory_needs_no_package(app: Path) -> None:
    assert "type `fastlb start server.js`" in refusal(UsageError, ".")
    (app / "index.js").write_text("")
    assert command(".").argv[1] == str(app / "index.js")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"main": "x.js"', "package.json is not what npm writes"),
        ("[1]", "package.json is not what npm writes"),
        ("\udcff", "package.json is not what npm writes"),
        ("[" * 100_000, "package.json is not what npm writes"),
        (" " * (1 << 20) + "{}", "larger than 1 MiB"),
        ('{"main": "dist/servr.js"}', "names dist/servr.js, which does not exist; did you mean dist/server.js?"),
        ('{"scripts": {"start": "A=b node --x dist/server.js -p 1"}}', "type `fastlb start dist/server.js`"),
    ],
)
def test_package_without_a_script_is_refused(app: Path, content: str, reason: str) -> None:
    (app / "package.json").write_bytes(os.fsencode(content))
    assert reason in refusal(UsageError, ".")


def test_missing_script_is_named_with_the_nearest(app: Path) -> None:
    message = refusal(UsageError, "dist/servre.js")
    assert f"no file {app}/dist/servre.js (working directory: {app}); did you mean dist/server.js?" in message
    assert "did you mean" not in refusal(UsageError, "nowhere/a.js")
    assert "no file" in refusal(UsageError, "package.json")


@pytest.mark.parametrize("shebang", ["#!/bin/sh", "#!/usr/bin/env bash", "#! /bin/bash -e", "#!/usr/bin/env -S sh -e"])
def test_shell_script_is_a_wrapper(app: Path, shebang: str) -> None:
    (app / "package.json").write_text('{"scripts": {"start": "node dist/server.js"}}')
    (app / "run").write_text(f"{shebang}\nexec node dist/server.js\n")
    message = refusal(UsageError, "./run")
    assert "'run' starts the app in a process of its own" in message
    assert "type `fastlb start dist/server.js` instead (`npm start` runs 'node dist/server.js' here)" in message


def test_program_of_npm_is_a_wrapper_though_it_is_javascript(app: Path) -> None:
    (app / "node_modules" / ".bin").mkdir(parents=True)
    (app / "node_modules" / ".bin" / "vite").write_text("#!/usr/bin/env node\n")
    assert "'vite' starts the app" in refusal(UsageError, "node_modules/.bin/vite")


def test_script_may_be_executable_itself(app: Path) -> None:
    (app / "www").write_text("#!/usr/bin/env node\n")
    assert command("./www").argv[-1] == str(app / "www")
    (app / "tool").write_text("#!/usr/bin/python3\n")
    assert "is a Python program" in refusal(UsageError, "./tool")


# Interpreters


def test_interpreter_may_be_a_path_or_another_name(app: Path, tmp_path: Path) -> None:
    other = make_node(tmp_path / "bin" / "node22", "v22.1.0")
    assert command(interpreter=other).argv[0] == other
    assert command(interpreter="node22").argv[0] == other
    assert command(interpreter="../bin/node22").argv[0] == other


def test_node_is_found_on_the_path_of_the_app(tmp_path: Path) -> None:
    node = make_node(tmp_path / "other" / "node", "v18.20.0")
    assert command(env={"PATH": f"{tmp_path}/other"}).argv[0] == node


def test_machine_without_node_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "bin" / "node").unlink()
    message = refusal(FastlbError)
    assert f"no program 'node' on PATH ({tmp_path}/bin)" in message
    assert "--interpreter PATH" in message


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("./dist", "no file that can be executed"),
        ("dist/server.js", "no file that can be executed"),
        ("node --inspect", "--interpreter-args"),
        ("python3", "MODULE:ATTRIBUTE"),
        ("bun", "another protocol"),
        ("/opt/bin/bun", "type `fastlb start dist/server.js`"),
        ("nodemon", "in a process of its own"),
        ("ts-node", "type `fastlb start --interpreter tsx dist/server.js`"),
    ],
)
def test_interpreter_that_cannot_be_used(name: str, reason: str) -> None:
    assert reason in refusal(UsageError, interpreter=name)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("v14.21.3", "is Node v14.21.3, and fastlb needs 16 or newer"),
        ("v15.14.0", "needs 16"),
        ("Python 3.11.2", "answers 'Python 3.11.2', not a version of Node"),
        ("", "answers ''"),
    ],
)
def test_version_is_checked(tmp_path: Path, answer: str, reason: str) -> None:
    make_node(tmp_path / "bin" / "node", answer)
    assert reason in refusal(FastlbError)


def test_node_that_hangs_is_given_up_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "ANSWER_SECONDS", 0.5)
    sleep = shutil.which("sleep", path="/usr/bin:/bin")
    make_program(tmp_path / "bin" / "node", f"{sleep} 60 & echo $! >{tmp_path}/pid; wait")
    assert "has not answered for 0.5 s" in refusal(FastlbError)
    child = int((tmp_path / "pid").read_text())
    wait_until(lambda: not is_running(child), "the child of the hung node is killed too")


def test_program_of_another_machine_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "bin" / "node"
    path.write_bytes(b"\x7fELF nonsense")
    assert "cannot be started: Exec format error" in refusal(FastlbError)


def test_question_for_the_version_does_not_reach_a_channel_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_CHANNEL_FD", "3")
    make_program(tmp_path / "bin" / "node", 'test -z "$NODE_CHANNEL_FD" && echo v20.0.0')
    assert command().argv[0] == str(tmp_path / "bin" / "node")


def test_deno_runs_the_script_with_all_permissions(app: Path, tmp_path: Path) -> None:
    deno = make_program(tmp_path / "bin" / "deno", "exit 1")
    script = str(app / "dist" / "server.js")
    started = command(interpreter="deno", interpreter_args=("--inspect",))
    assert started.for_worker(None) == [deno, "run", "-A", "--inspect", script]
    (tmp_path / "bin" / "deno").unlink()
    assert "no program 'deno' on PATH" in refusal(FastlbError, interpreter="deno")


# TypeScript


@pytest.mark.parametrize("name", ["server.ts", "server.mts"])
@pytest.mark.parametrize(
    ("version", "is_plain"),
    [
        ("v22.17.1", False), ("v22.18.0", True), ("v23.5.0", False), ("v23.6.0", True), ("v26.1.0", True),
    ],
)  # fmt: skip
def test_typescript_needs_a_node_that_strips_types_or_tsx(
    app: Path, tmp_path: Path, version: str, is_plain: bool, name: str
) -> None:
    (app / name).write_text("")
    make_node(tmp_path / "bin" / "node", version)
    if is_plain:
        assert command(name).argv[1:] == (str(app / name),)
    else:
        message = refusal(UsageError, name)
        assert all(way_out in message for way_out in ("compile it", "npm install tsx", "Node 22.18"))
    install_tsx(app)
    assert command(name).argv[1:-1] == (() if is_plain else ("--import", "tsx"))


def test_tsx_is_loaded_into_node_itself(app: Path) -> None:
    assert "npm install tsx" in refusal(FastlbError, interpreter="tsx")
    install_tsx(app.parent)
    started = command(interpreter="tsx", interpreter_args=("--a",))
    assert started.argv[1:] == ("--import", "tsx", "--a", str(app / "dist" / "server.js"))


def test_tsx_beside_the_script_is_named_in_full(app: Path) -> None:
    loader = install_tsx(app / "dist")
    assert command(interpreter="tsx").argv[1:3] == ("--import", loader.as_uri())


@pytest.mark.parametrize(
    ("version", "is_new_enough"),
    [("v18.18.2", False), ("v18.19.0", True), ("v19.9.0", False), ("v20.5.1", False), ("v20.6.0", True)],
)
def test_tsx_needs_a_node_with_import(app: Path, tmp_path: Path, version: str, is_new_enough: bool) -> None:
    install_tsx(app)
    make_node(tmp_path / "bin" / "node", version)
    if is_new_enough:
        assert "--import" in command(interpreter="tsx").argv
    else:
        assert f"this is Node {version[1:]}" in refusal(FastlbError, interpreter="tsx")


@pytest.mark.parametrize("options", ["--import=./hooks.mjs", "--loader ts-node/esm", "-r ts-node/register"])
def test_loader_of_the_user_is_believed(app: Path, options: str) -> None:
    (app / "server.ts").write_text("")
    assert command("server.ts", interpreter_args=(options,)).argv[1:-1] == tuple(options.split())


# Options of node


@pytest.mark.parametrize(
    ("options", "port"),
    [
        ("--inspect", 9232),
        ("--inspect-brk", 9232),
        ("--inspect=9400", 9403),
        ("--inspect=0.0.0.0:9400", 9403),
        ("--inspect=[::1]:9400", 9403),
        ("--inspect=localhost", 9232),
        ("--inspect --inspect-port=9500", 9503),
        ("--inspect=0", 0),
        ("--inspect=65534", 1025),
    ],
)
def test_each_worker_has_an_inspector_of_its_own(app: Path, options: str, port: int) -> None:
    words = line(command(interpreter_args=(options,), args=("x",)), 3)
    script = str(app / "dist" / "server.js")
    assert words[1:] == [*options.split(), f"--inspect-port={port}", script, "x"]


@pytest.mark.parametrize("options", ["--inspect-port=9400", "--max-old-space-size=100", "--inspector-like"])
def test_without_inspector_there_is_no_port(options: str) -> None:
    assert "--inspect-port=9232" not in line(command(interpreter_args=(options,)), 3)


def test_replacement_has_the_next_free_inspector_port() -> None:
    started = command(interpreter_args=("--inspect=9400",), workers=3)
    assert "--inspect-port=9401" in line(started, 1)
    assert "--inspect-port=9404" in line(started, 1, 9401), "those between are of the other workers"
    assert "--inspect-port=9407" in line(started, 1, 9401, 9404)
    assert "--inspect-port=9401" in line(started, 1, *range(9400, 9500)), "Node says that it is taken"


def test_inspector_of_node_options_counts() -> None:
    started = command(env={"NODE_OPTIONS": "--enable-source-maps --inspect"})
    assert "--inspect-port=9231" in line(started, 2)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--title='a", "--node-args --title='a: no closing quotation"),
        ("--watch", "--node-args --watch: with it node is no worker"),
        ("--a --eval=1", "--node-args --eval=1"),
        ("-p", "leave it out"),
        ("512", "begin with '-'"),
    ],
)
def test_options_with_which_node_is_no_worker(options: str, reason: str) -> None:
    assert reason in refusal(UsageError, interpreter_args=(options,))


# The node of this machine


@needs_node
def test_real_node_runs_the_command(app: Path) -> None:
    (app / "print.cjs").write_text("console.log(process.argv.slice(2).join(), process.debugPort, process.execArgv[0])")
    settings: dict[str, Any] = {"interpreter_args": ("--inspect=127.0.0.1:0 --title='a b'",), "args": ("--x", "y")}
    words = line(command("print.cjs", interpreter=str(NODE), **settings), 1)
    result = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert result.stdout.startswith("--x,y "), result
    assert "--inspect=127.0.0.1:0" in result.stdout


@needs_node
def test_real_node_takes_the_last_inspect_port_and_keeps_the_host(app: Path) -> None:
    (app / "print.cjs").write_text("console.log(require('inspector').url(), process.debugPort)")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    options = (f"--inspect=127.0.0.1:{free - 1}",)
    words = line(command("print.cjs", interpreter=str(NODE), interpreter_args=options), 1)
    result = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert result.stdout.startswith(f"ws://127.0.0.1:{free}/"), result


def test_link_to_a_program_of_a_package_is_answered_with_what_it_links_to(app: Path) -> None:
    programs = app / "node_modules" / ".bin"
    programs.mkdir(parents=True)
    (app / "node_modules" / "site" / "cli.js").parent.mkdir()
    (app / "node_modules" / "site" / "cli.js").write_text("#!/usr/bin/env node\n")
    (programs / "site").symlink_to("../site/cli.js")
    assert "type `fastlb start node_modules/site/cli.js` instead" in refusal(UsageError, "node_modules/.bin/site")
