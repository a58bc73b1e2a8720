"""What the command line makes of a Node app before anything is started."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from fastlb.cli.start_request import requested_start
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.fastlb_process import COMMAND, Fastlb

from .conftest import remember


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of a Node app, and an empty home."""
    directory = tmp_path / "my app"
    (directory / "dist").mkdir(parents=True)
    (directory / "dist" / "server.js").write_text("")
    monkeypatch.setenv("FASTLB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(directory)
    return directory


def start(fastlb: Fastlb, directory: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([COMMAND, "start", *args], env=fastlb.env, cwd=directory, capture_output=True, text=True)


def wrong_usage(fastlb: Fastlb, directory: Path, *args: str) -> str:
    result = start(fastlb, directory, *args)
    assert result.returncode == 2, result
    assert not fastlb.home.exists(), "nothing is left of it"
    return result.stderr


def name_of(target: str, **given: Any) -> str:
    return requested_start(target, (), given, {}).config.name


def test_mistyped_script_is_wrong_usage_before_there_is_a_supervisor(fastlb: Fastlb, app: Path) -> None:
    assert "did you mean dist/server.js?" in wrong_usage(fastlb, app, "dist/servre.js")
    assert "did you mean server.js?" in wrong_usage(fastlb, app, "--cwd", "dist", "servre.js")


def test_wrapper_is_answered_with_the_script_behind_it(fastlb: Fastlb, app: Path) -> None:
    (app / "package.json").write_text('{"scripts": {"start": "node dist/main.js"}}')
    for args in (("npm", "--", "start"), ("npm run start",), ("yarn",)):
        message = wrong_usage(fastlb, app, "--exec-mode", "cluster", *args)
        assert "type `fastlb start dist/main.js` instead (`npm start` runs" in message
    tsx = wrong_usage(fastlb, app, "--exec-mode", "cluster", "tsx")
    assert "type `fastlb start --interpreter tsx server.ts` instead" in tsx


@pytest.mark.parametrize("options", [("--node-args", "--watch"), ("--node-args=--title=a --watch",)])
def test_value_of_node_args_may_look_like_an_option(fastlb: Fastlb, app: Path, options: tuple[str, ...]) -> None:
    assert "--node-args --watch: with it node is no worker" in wrong_usage(fastlb, app, *options, "dist/server.js")


def test_counting_variable_is_checked_at_once(fastlb: Fastlb, app: Path) -> None:
    args = ("--increment-var", "PORT", "--env", "PORT=http", "dist/server.js")
    assert "starts from 'http'" in wrong_usage(fastlb, app, *args)


def test_setting_of_python_apps_is_refused(fastlb: Fastlb, app: Path) -> None:
    assert "--threads: this is for Python apps" in wrong_usage(fastlb, app, "--threads", "4", "dist/server.js")


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("--exec-interpreter-args=--title", "--interpreter-args --title"),
        ("--exec-interpreter=node20", "--interpreter node20"),
    ],
)
def test_names_of_pm2_are_understood(fastlb: Fastlb, app: Path, option: str, meant: str) -> None:
    assert f"did you mean {meant}?" in wrong_usage(fastlb, app, option, "dist/server.js")


def test_app_of_a_similar_name_does_not_stand_in_the_way_of_a_script(app: Path, fastlb: Fastlb) -> None:
    remember(fastlb, AppConfig(target="server:app", name="server"))
    assert "there is no file" in start(fastlb, app, "server.js").stderr
    assert "did you mean server?" in start(fastlb, app, "servr").stderr


def test_script_gives_the_app_its_name(app: Path) -> None:
    assert name_of("dist/server.js") == "server"
    assert name_of("dist/server.js", name="shop") == "shop"


@pytest.mark.parametrize(("package", "name"), [('{"name": "@acme/api"}', "acme-api"), ("{}", "my-app")])
@pytest.mark.parametrize("target", [".", "package.json", "../my app", "../my app/package.json"])
def test_package_gives_the_app_its_name(app: Path, target: str, package: str, name: str) -> None:
    (app / "package.json").write_text(package)
    assert name_of(target) == name


def test_package_is_looked_for_in_the_cwd_of_the_app(app: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "package.json").write_text('{"name": "other-one"}')
    assert name_of(".", cwd="../other") == "other-one"


def test_damaged_package_is_wrong_usage(app: Path) -> None:
    (app / "package.json").write_text("{")
    with pytest.raises(UsageError, match=r"package\.json is not what npm writes"):
        name_of(".")


def test_stopped_node_app_has_no_address_yet(fastlb: Fastlb) -> None:
    remember(fastlb, AppConfig(target="server.js", name="shop"))
    remember(fastlb, AppConfig(target="server:app", name="python-shop"))
    binds = {entry["name"]: entry["binds"] for entry in fastlb.list_json()}
    assert binds == {"shop": [], "python-shop": ["127.0.0.1:8000"]}
    assert fastlb.ok("list").stdout.splitlines()[-1].split()[1] == "shop"
