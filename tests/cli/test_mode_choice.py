"""Which mode an app is started in when nobody says it, and what is said of that."""

from pathlib import Path

import pytest
from fastlb.cli.start_request import requested_start
from fastlb.supervisor.errors import UsageError

from tests.support.programs import write_program

APP = "from fastapi import FastAPI\napp = FastAPI()\n"
MAIN = "if __name__ == '__main__':\n    run(app)\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with programs of every kind, which is the working directory."""
    monkeypatch.setenv("FASTLB_HOME", str(tmp_path / "home"))
    root = tmp_path / "project"
    (root / "bin").mkdir(parents=True)
    (root / "tool").mkdir()
    texts = {
        "server.js": "",
        "server.ts": "",
        "bin/www": "require('../server')\n",
        "bin/node-www": "#!/usr/bin/env node\n",
        "bin/old.sh": "echo\n",
        "job.py": "print(1)\n",
        "served.py": APP,
        "both.py": APP + MAIN,
        "script.rb": "",
        "package.json": '{"name": "shop", "scripts": {"start": "node dist/main.js"}}',
    }
    for name, text in texts.items():
        (root / name).write_text(text)
    write_program(root / "worker.sh", "echo")
    write_program(root / "bin" / "serve", "print(1)", first="#!/usr/bin/python3")
    (root / "binary").write_bytes(b"\x7fELF")
    (root / "binary").chmod(0o755)
    monkeypatch.chdir(root)
    return root


def chosen(target: str, **given: str) -> tuple[str, str]:
    """The mode and the kind that a target gets."""
    config = requested_start(target, (), given, {}).config
    return config.exec_mode, config.kind


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("served:app", "python"),
        ("served:create()", "python"),
        ("server.js", "node"),
        ("server.ts", "node"),
        (".", "node"),
        ("package.json", "node"),
        ("bin/www", "node"),
        ("./bin/node-www", "node"),
        ("missing.js", "node"),
    ],
)
def test_what_can_be_served_is_in_cluster_mode(target: str, kind: str) -> None:
    assert chosen(target) == ("cluster", kind)


@pytest.mark.parametrize(
    "target",
    [
        *("worker.sh", "./worker.sh", "bin/old.sh", "bin/serve", "binary", "./binary", "script.rb"),
        *("job.py", "both.py"),
        *("sleep", "npx", "npm", "yarn", "sleep 1000", "./worker.sh a b", "missing.py", "missing.sh", "next"),
    ],
)
def test_all_else_is_in_fork_mode(target: str) -> None:
    assert chosen(target) == ("fork", "fork")


@pytest.mark.parametrize(
    ("interpreter", "target", "mode"),
    [
        ("node", "bin/www", "cluster"),
        ("/opt/node20/bin/node", "bin/www", "cluster"),
        ("tsx", "server.ts", "cluster"),
        ("python3", "job.py", "fork"),
        ("python3", "both.py", "fork"),
        ("ruby", "bin/www", "fork"),
        ("none", "./binary", "fork"),
    ],
)
def test_interpreter_says_who_runs_a_script(interpreter: str, target: str, mode: str) -> None:
    assert chosen(target, interpreter=interpreter)[0] == mode


@pytest.mark.parametrize("target", ["server.js", "served.py", "bin/www", "package.json", "bin/node-www"])
def test_fork_mode_can_be_asked_for(target: str) -> None:
    assert chosen(target, exec_mode="fork") == ("fork", "fork")


@pytest.mark.parametrize(
    ("target", "given", "reason"),
    [
        ("served.py", {}, "is a file, which --fork would run as it is, and fastlb imports a module: type served:app"),
        ("served", {}, "type served:app"),
        ("nothing-like-it", {}, "does not say which object of the module is the app"),
        ("ecosystem.config.js", {}, "is a configuration file"),
        ("tool.json", {}, "is a configuration file"),
        ("worker.sh", {"exec_mode": "cluster"}, "is a shell script, and cluster mode runs apps of Python and Node"),
        ("npm", {"exec_mode": "cluster"}, "'npm' starts the app in a process of its own"),
        ("node dist/server.js", {}, "type `fastlb start dist/server.js`"),
    ],
)
def test_what_cannot_be_started_is_answered_with_what_to_type(target: str, given: dict[str, str], reason: str) -> None:
    with pytest.raises(UsageError) as refused:
        requested_start(target, (), given, {})
    assert reason in refused.value.message


@pytest.mark.parametrize(
    ("target", "name"),
    [("worker.sh", "worker"), ("./bin/serve", "serve"), ("job.py", "job"), ("sleep 1000", "sleep"), ("npx", "npx")],
)
def test_program_gives_the_app_its_name(target: str, name: str) -> None:
    assert requested_start(target, (), {}, {}).config.name == name


def test_wrapper_is_told_how_the_app_behind_it_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    requested_start("npm", ("start",), {}, {})
    note = capsys.readouterr().err
    assert "note: npm starts the app itself, so it runs in fork mode" in note
    assert "`fastlb start dist/main.js`" in note
    requested_start("both.py", (), {}, {})
    note = capsys.readouterr().err
    assert "note: both.py runs in fork mode; with workers behind one port: `fastlb start both:app`" in note
    requested_start("npx", ("serve", "-s", "dist"), {"exec_mode": "fork"}, {})
    requested_start("sleep", ("1000",), {}, {})
    assert capsys.readouterr().err == ""
