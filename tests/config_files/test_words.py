"""What keys and values of a file mean: in our words, in PM2's, and what is said of those that mean nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastlb.cli.config_files.apps import FileApps, read_apps
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.pm2.keys import KEYS
from fastlb.supervisor.settings.cpus import usable_cpus
from fastlb.supervisor.settings.most_workers import usable_workers

PM2_VALUES: dict[str, Any] = {
    "alerts": {"cpu": 80},
    "args": ["-v"],
    "autostart": False,
    "cwd": "sub",
    "env": {"A": 1},
    "env_*": {"B": 2},
    "exec_mode": "cluster_mode",
    "filter_env": ["A"],
    "instances": "max",
    "ignore_watch": ["logs"],
    "intervals": {"performance": 60000},
    "log_type": "json",
    "max_memory_restart": "1.5G",
    "max_size": "10M",
    "max_instances": "max",
    "min_instances": 2,
    "min_uptime": "10s",
    "monitoring": {"thresholds": {"cpu": 80}},
    "name": "shop",
    "namespace": "web",
    "node_args": "--expose-gc --gc-interval=100",
    "scale_cpu": 80,
    "scale_memory": 80,
    "script": "app.js",
    "stop_exit_codes": [0, 3],
    "thresholds": {"cpu": 80},
    "watch_options": {},
    "io": {},
}


def pm2(directory: Path, app: dict[str, Any], **choices: Any) -> FileApps:
    (directory / "apps.json").write_text(json.dumps({"apps": [{"script": "app.js"} | app]}))
    return read_apps(str(directory / "apps.json"), **choices)


def ours(directory: Path, text: str, **choices: Any) -> FileApps:
    (directory / "fastlb.toml").write_text(text)
    return read_apps(str(directory / "fastlb.toml"), **choices)


def told(found: FileApps, directory: Path) -> list[str]:
    return [f"{problem.severity} {problem}".replace(f"{directory}/", "") for problem in found.all_problems]


def value_for(name: str) -> Any:
    return PM2_VALUES.get(name, 5000)


@pytest.mark.parametrize("key", [key for section in KEYS for key in section.keys], ids=lambda key: key.name)
def test_every_key_of_pm2_is_set_or_told(tmp_path: Path, key: Any) -> None:
    name = key.name.replace("*", "x")
    for value in (value_for(key.name), True, "text", "json"):
        found = pm2(tmp_path, {name: value})
        if not found.errors:
            break
    assert not found.errors, told(found, tmp_path)
    app = found.apps[0]
    is_set = key.setting in app.settings or "env" in app.settings or app.environments or "exec_mode" in app.settings
    is_told = any(name in problem.text for problem in app.problems)
    assert is_set or is_told or not app.autostart
    assert not any("there is no key" in problem.text for problem in app.problems)


@pytest.mark.parametrize(
    ("app", "setting", "value", "note"),
    [
        ({"kill_timeout": 5000}, "kill_timeout", 5.0, "5000, milliseconds"),
        ({"killTimeout": "8000"}, "kill_timeout", 8.0, "8000, milliseconds"),
        ({"min_uptime": "60s"}, "min_uptime", 60.0, ""),
        ({"max_memory_restart": "1.5G"}, "max_memory_restart", 3 << 29, ""),
        ({"cron_restart": 0}, "cron_restart", "0", ""),
        ({"watch": True}, "watch", ("true",), ""),
        ({"watch": "src"}, "watch", ("src",), ""),
        ({"ignore_watch": []}, "ignore_watch", (), ""),
        ({"watch_delay": 500}, "watch_delay", 0.5, "500, milliseconds"),
        ({"max_memory_restart": 1024}, "max_memory_restart", 1024, ""),
        ({"instances": "max"}, "workers", usable_workers(), "max: the CPUs, and the memory, that this process may use"),
        ({"instances": 0}, "workers", usable_workers(), "0: the CPUs, and the memory, that this process may use"),
        ({"instances": -1}, "workers", max(1, usable_cpus() - 1), "-1: all CPUs but 1"),
        ({"instances": "3"}, "workers", 3, ""),
        ({"exec_mode": "fork_mode"}, "exec_mode", "fork", ""),
        ({"args": "serve -s 'my dir'"}, "args", ("serve", "-s", "my dir"), ""),
        ({"node_args": ["--a", "--b=1"]}, "interpreter_args", ("--a", "--b=1"), ""),
        ({"stop_exit_codes": 3}, "stop_exit_codes", (3,), ""),
        ({"uid": 33}, "uid", "33", ""),
        ({"out_file": "/dev/null"}, "out_file", "NULL", ""),
        ({"port": 3001}, "env", {"PORT": "3001"}, ""),
        ({"env": {"A": 1, "B": True, "C": None, "D": [1, {}]}}, "env", {"A": "1", "B": "true", "D": "[1,{}]"}, ""),
        ({"balance": "least-connections"}, "balance", "least-connections", ""),
        ({"stall_timeout": 1500}, "stall_timeout", 1.5, "1500, milliseconds"),
        ({"script": "serve", "env": {"PM2_SERVE_PORT": 9000}}, "bind", ("0.0.0.0:9000",), ""),
        ({"script": "serve", "args": "dist 9000", "instances": 2}, "name", "static-page-server-9000", ""),
        ({"script": "cd x && node y"}, "args", ("-c", "cd x && node y"), ""),
    ],
)
def test_values_of_pm2(tmp_path: Path, app: dict[str, Any], setting: str, value: Any, note: str) -> None:
    found = pm2(tmp_path, app)
    assert not found.errors, told(found, tmp_path)
    assert found.apps[0].settings[setting] == value
    assert not note or found.apps[0].origins[setting].note == note


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ({"merge_logs": "no"}, 'error apps.json:1:32: merge_logs: "no" is neither true nor false'),
        ({"max_restarts": 1.5}, "error apps.json:1:32: max_restarts: '1.5' is not a whole number"),
        ({"exec_mode": "clutser"}, "error apps.json:1:32: exec_mode: 'clutser' is none of auto, cluster, fork; did"),
        ({"reload_dely": 1}, "warning apps.json:1:32: there is no key 'reload_dely', in PM2 neither, so it has no"),
        ({"pmx": True}, "note apps.json:1:32: pmx has no effect here: "),
        ({"script": None}, "error apps.json:1:11: an app says no script"),
        ({"name": "my app"}, 'note apps.json:1:32: the app is called my-app, not "my app"'),
    ],
)
def test_what_is_said_of_a_file_of_pm2(tmp_path: Path, app: dict[str, Any], message: str) -> None:
    (line,) = told(pm2(tmp_path, app), tmp_path)
    assert line.startswith(message)


def test_what_is_turned_off_needs_no_word(tmp_path: Path) -> None:
    assert told(pm2(tmp_path, {"watch": False, "pmx": False, "name": None}), tmp_path) == []


def test_our_words(tmp_path: Path) -> None:
    text = """
[defaults]
kill_timeout = "10s"
env = {A = "1", B = "1"}
[apps.shop]
target = "shop:app"
workers = "max"
bind = ["127.0.0.1:8001"]
env = {B = "2", C = "2"}
env_production = {C = "3"}
[apps.jobs]
target = "jobs.sh"
kill_timeout = 3
cwd = "sub"
"""
    found = ours(tmp_path, text, environment="production")
    assert told(found, tmp_path) == []
    shop, jobs = found.apps
    assert shop.settings["env"] == {"A": "1", "B": "2", "C": "3"}
    assert (shop.settings["kill_timeout"], jobs.settings["kill_timeout"]) == (10.0, 3.0)
    assert (shop.settings["cwd"], jobs.settings["cwd"]) == (str(tmp_path), str(tmp_path / "sub"))
    assert shop.settings["workers"] == usable_workers()
    assert str(jobs.origins["kill_timeout"]).endswith("fastlb.toml:13:1")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("instances = 3", "error fastlb.toml:3:1: there is no setting 'instances'; did you mean workers?"),
        ("kil_timeout = 3", "error fastlb.toml:3:1: there is no setting 'kil_timeout'; did you mean kill_timeout?"),
        ("pmx = true", "error fastlb.toml:3:1: there is no setting 'pmx': Nothing of ours is loaded"),
        ("kill_timeout = 5000", "error fastlb.toml:3:1: kill_timeout: 5000 may mean 1h23m20s or, in milliseconds, 5s"),
        ("[app.y]", "error fastlb.toml:3:1: there is no key 'app' at the top of a file; did you mean apps?"),
        ('[apps.y]\nbind = ":80"', "error fastlb.toml:3:1: y says no target: what is to run?"),
    ],
)
def test_what_is_refused_in_our_words(tmp_path: Path, lines: str, message: str) -> None:
    (line,) = told(ours(tmp_path, f'[apps.x]\ntarget = "x:y"\n{lines}\n'), tmp_path)
    assert line.startswith(message)


def test_choosing_apps(tmp_path: Path) -> None:
    text = '[apps.shop]\ntarget = "a:b"\n[apps.jobs]\ntarget = "c.sh"\n'
    found = ours(tmp_path, text, only=("jobs",))
    assert ([app.name for app in found.apps], found.others) == (["jobs"], ["shop"])
    with pytest.raises(UsageError, match=r"has no app 'job'; did you mean jobs\?"):
        ours(tmp_path, text, only=("job",))


def test_an_environment_that_is_not_there(tmp_path: Path) -> None:
    found = pm2(tmp_path, {"env_production": {}}, environment="producton")
    (line,) = told(found, tmp_path)
    assert line.endswith("there is no env_producton in it: it has env_production; did you mean production?")


def test_two_apps_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"script": "x/app.js"},\n {"script": "y/app.js"}]')
    (problem,) = read_apps(str(tmp_path / "a.json")).errors
    line = str(problem).replace(f"{tmp_path}/", "")
    assert line == "a.json:2:2: app is the name of another app, at a.json:1:2: each needs its own"


def test_apps_that_are_no_list(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"apps": 3}')
    (problem,) = read_apps(str(tmp_path / "a.json")).errors
    assert str(problem).replace(f"{tmp_path}/", "") == "a.json:1:2: apps is no list of apps, but 3"


@pytest.mark.parametrize("data", [{}, {"apps": []}, [], 3, {"name": "x"}])
def test_a_file_without_apps(tmp_path: Path, data: Any) -> None:
    (tmp_path / "a.json").write_text(json.dumps(data))
    with pytest.raises(UsageError, match=r"a\.json names no app: give apps"):
        read_apps(str(tmp_path / "a.json"))
