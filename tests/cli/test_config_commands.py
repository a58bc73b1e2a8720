"""`config show`, `config schema`, `convert`, `init` and `advise`: what they print, and that it can be used."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fastlb.cli.commands.init import page
from fastlb.cli.config_files.apps import read_apps
from fastlb.cli.decision_tree import Situation, advise
from fastlb.cli.declared.schema import schema
from fastlb.cli.finding_apps import FoundApp, find_app
from fastlb.supervisor.settings.declared import declared_settings

from tests.support.fastlb_process import APPS, Fastlb

PM2 = {
    "apps": [
        {
            "name": "job",
            "script": "sleep 1000",
            "kill_timeout": 5000,
            "instances": "max",
            "pmx": True,
            "cwd": "sub",
            "env": {"TOKEN": "canary-7", "B": 'a "quoted" \\ word'},
            "env_production": {"TOKEN": "x"},
            "log_date_format": "HH:mm",
        }
    ]
}


def test_show_tells_where_settings_come_from(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.json").write_text(json.dumps(PM2, indent=1))
    fastlb.env["FASTLB_NICE"] = "1"
    options = ("--workers", "1", "--env", "C=1")
    result = fastlb.cli("start", "a.json", "--env", "production", *options, "--settle", "0.1", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = fastlb.ok("config", "show", "job", "--origin").stdout.splitlines()
    assert 'kill_timeout = "5s"  # a.json:6:4 (5000, milliseconds)' in lines
    assert "nice = 1  # FASTLB_NICE" in lines
    assert "workers = 1  # command line" in lines
    assert "retain = 10  # built-in" in lines
    assert f'cwd = "{tmp_path / "sub"}"  # a.json:9:4' in lines
    assert 'env.TOKEN = "***"  # a.json:15:5 (env_production)' in lines
    assert 'env.B = "***"  # a.json:12:5' in lines
    assert 'env.C = "***"  # command line' in lines
    assert 'kill_timeout = "5s"  # 5000, milliseconds' in fastlb.ok("config", "show", "job").stdout.splitlines()
    fastlb.ok("stop", "job")
    shown = json.loads(fastlb.ok("config", "show", "job", "--json").stdout)
    assert shown["kill_timeout"] == {"value": 5.0, "origin": "a.json:6:4 (5000, milliseconds)"}


def test_what_a_file_does_not_say_came_from_no_command_line(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "fastlb.toml").write_text('[apps.job]\ntarget = "sleep"\nargs = ["1000"]\n')
    fastlb.ok("start", str(tmp_path / "fastlb.toml"), "--settle", "0.1")
    lines = fastlb.ok("config", "show", "job", "--origin").stdout.splitlines()
    assert f'args = ["1000"]  # {tmp_path}/fastlb.toml:3:1' in lines
    assert f'cwd = "{tmp_path}"  # the folder of {tmp_path}/fastlb.toml' in lines
    assert 'exec_mode = "fork"  # found by looking at the target' in lines
    assert [line for line in lines if "command" in line.partition("  # ")[2]] == ['settle = "100ms"  # command line']


def test_convert_says_the_same_in_our_words(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(PM2, indent=1))
    text = fastlb.cli("convert", "a.json", cwd=tmp_path).stdout
    assert 'workers = "max"' in text
    assert "# note: pmx has no effect here" in text
    (tmp_path / "fastlb.toml").write_text(text)
    before, after = read_apps(str(tmp_path / "a.json")), read_apps(str(tmp_path / "fastlb.toml"))
    assert after.errors == []
    assert after.apps[0].settings == before.apps[0].settings
    assert after.apps[0].environments == before.apps[0].environments


def test_schema_has_every_setting() -> None:
    described = schema()["$defs"]["settings"]["properties"]
    assert set(described) == {setting.name for setting in declared_settings()} - {"name"}
    assert all(about["description"] for about in described.values())
    assert described["workers"]["anyOf"] == [{"type": "integer", "minimum": 1, "maximum": 512}, {"enum": ["max"]}]


@pytest.mark.parametrize(
    ("situation", "mode", "workers", "word"),
    [
        (Situation(False, None, 0), "fork", 1, "does not answer HTTP"),
        (Situation(True, None, 9000), "cluster", 1, "or that is not known"),
        (Situation(True, False, 9000), "cluster", 1, "keeps state"),
        (Situation(True, True, 500), "cluster", 1, "500 requests a second are not more than 500"),
        (Situation(True, True, 501), "cluster", 0, "501 requests a second are more than 500"),
        (Situation(True, False, 0, can_be_cluster=False), "fork", 1, "keeps state"),
        (Situation(True, True, 501, can_be_cluster=False), "fork", 1, "listens itself"),
    ],
)
def test_the_tree(situation: Situation, mode: str, workers: int, word: str) -> None:
    advice = advise(situation)
    assert (advice.exec_mode, advice.workers) == (mode, workers)
    assert word in " ".join(advice.reasons)


PROJECTS: dict[str, tuple[dict[str, str], FoundApp | None]] = {
    "django": (
        {
            "manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')",
            "mysite/wsgi.py": "",
            "mysite/asgi.py": "",
        },
        FoundApp("mysite.wsgi:application", "a Django project", "django"),
    ),
    "channels": (
        {
            "manage.py": 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "s.conf.settings")',
            "s/conf/wsgi.py": "",
            "s/conf/asgi.py": "application = ProtocolTypeRouter({})",
        },
        FoundApp("s.conf.asgi:application", "a Django project", "channels"),
    ),
    "api": ({"main.py": "app = FastAPI()\n"}, FoundApp("main:app", "a FastAPI app", "api")),
    "flask": (
        {"src/shop/__init__.py": "def create_app():\n    return Flask(__name__)\n"},
        FoundApp("shop:create_app()", "a Flask app", "flask", "src"),
    ),
    "node": (
        {"package.json": '{"name": "@acme/api", "scripts": {"start": "node srv.js"}}', "srv.js": ""},
        FoundApp("srv.js", "the script of package.json", "acme-api"),
    ),
    "nothing": ({"main.py": "print(1)"}, None),
}


@pytest.mark.parametrize("name", PROJECTS)
def test_the_app_is_found_by_looking(tmp_path: Path, name: str) -> None:
    files, found = PROJECTS[name]
    for path, text in files.items():
        (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / path).write_text(text)
    assert find_app(str(tmp_path / name)) == found


@pytest.mark.parametrize(
    "found", [FoundApp("a:b", "an app", "x"), FoundApp("x.js", "", "x.y", "src"), FoundApp("x.sh", "", "x")]
)
@pytest.mark.parametrize("situation", [Situation(True, True, 900), Situation(False, None, 0)])
def test_what_init_writes_can_be_read(tmp_path: Path, found: FoundApp, situation: Situation) -> None:
    text = page("fastlb.toml", found, advise(situation))
    (app,) = tomllib.loads(text)["apps"].values()
    assert app["target"] == found.target
    commented = "\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines())
    (tmp_path / "fastlb.toml").write_text(commented.replace("app_dir", "#"))
    assert read_apps(str(tmp_path / "fastlb.toml")).errors == []


def test_init_writes_what_starts(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "asgi_probe.py").write_text((APPS / "asgi_probe.py").read_text())
    options = ("--target", "asgi_probe:app", "--stateless", "--requests", "900")
    result = fastlb.cli("init", *options, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "900 requests a second are more than 500" in result.stdout
    assert fastlb.cli("check", "fastlb.toml", cwd=tmp_path).returncode == 0
    again = fastlb.cli("init", *options, cwd=tmp_path)
    assert (again.returncode, "is there already" in again.stderr) == (2, True)


def test_init_says_that_it_has_found_no_app(fastlb: Fastlb, tmp_path: Path) -> None:
    result = fastlb.cli("init", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr.startswith(f"warning: no app was found in {tmp_path}: put yours for `target`")
    assert "server:app as a placeholder" in result.stdout
    assert 'target = "server:app"    # a placeholder' in (tmp_path / "fastlb.toml").read_text()
    written = json.loads(fastlb.cli("init", "other.toml", "--json", cwd=tmp_path).stdout)
    assert (written["file"], written["is_placeholder"]) == ("other.toml", True)


def test_advise_measures(fastlb: Fastlb) -> None:
    app = fastlb.start()
    app.get()
    advised: dict[str, Any] = json.loads(fastlb.ok("advise", "app", "--stateless", "--for", "0.1", "--json").stdout)
    assert (advised["exec_mode"], advised["workers"], advised["load"]["counted"]) == ("cluster", 1, "requests")
    assert "requests a second are not more than 500" in advised["reasons"][-2]
