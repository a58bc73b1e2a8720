"""What the commands say of apps that do not run."""

import json
import os
from pathlib import Path

import pytest
from fastlb.cli.start_request import requested_start
from fastlb.supervisor.home.paths import AppPaths
from fastlb.supervisor.own_metrics.directories import VARIABLE, counting_environment
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.fastlb_process import Fastlb


def test_list_without_apps_says_how_to_start_one(fastlb: Fastlb) -> None:
    result = fastlb.ok("list")
    assert "fastlb start" in result.stderr
    assert result.stdout == ""
    assert json.loads(fastlb.ok("list", "--json").stdout) == []
    assert not fastlb.home.exists(), "looking changes nothing"


@pytest.mark.parametrize("command", ["list", "show shop", "stop all", "jlist", "save", "start asgi_probe:app"])
def test_home_that_is_a_file_is_an_error(fastlb: Fastlb, command: str) -> None:
    fastlb.home.parent.mkdir(exist_ok=True)
    fastlb.home.write_text("")
    result = fastlb.cli(*command.split())
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: cannot use {fastlb.home}: ")
    assert "Set FASTLB_HOME to a directory of yours" in result.stderr


def test_stopped_app_is_listed_from_its_file(fastlb: Fastlb, stopped: AppPaths) -> None:
    assert json.loads(fastlb.ok("list", "--json").stdout) == [
        {
            "name": "shop",
            "status": "stopped",
            "mode": "cluster",
            "pid": None,
            "uptime_s": 0.0,
            "restarts": 0,
            "binds": ["127.0.0.1:0"],
            "balance": "ip-hash",
            "workers": [],
            "namespace": "default",
            "target": "asgi_probe:app",
            "cwd": "",
            "version": "",
            "started_at": "",
            "last_exit": "",
            "operations": [],
            "cron_next_at": "",
            "autoscaling": None,
            "alerts": [],
            "target_workers": 0,
            "pm_ids": [0],
        }
    ]
    assert fastlb.ok("ps").stdout.splitlines()[1].split()[:6] == ["0", "shop", "cluster", "0", "stopped", "-"]
    assert fastlb.ok("ps", "--apps").stdout.splitlines()[1].split()[:5] == ["0", "shop", "stopped", "cluster", "-"]


def test_show_of_a_stopped_app_hides_secrets(fastlb: Fastlb, stopped: AppPaths) -> None:
    details = json.loads(fastlb.ok("show", "shop", "--json").stdout)
    assert details["settings"]["env"] == {"TOKEN": "***"}
    assert details["files"]["out_log"] == str(stopped.out_log)
    assert "canary-7" not in fastlb.ok("show", "shop").stdout


def test_damaged_file_is_a_warning_and_the_others_are_listed(fastlb: Fastlb, stopped: AppPaths) -> None:
    stopped.config.write_text('{"target": 1')
    result = fastlb.ok("list", "--json")
    assert "config.json is damaged" in result.stderr
    assert [entry["name"] for entry in json.loads(result.stdout)] == ["shop"]
    assert fastlb.cli("start", "shop").returncode == 1


@pytest.mark.parametrize("command", [("reload", "shop"), ("scale", "shop", "2"), ("logs", "shop", "--follow")])
def test_what_needs_a_running_app_says_so(fastlb: Fastlb, stopped: AppPaths, command: tuple[str, ...]) -> None:
    result = fastlb.cli(*command)
    assert result.returncode == 1
    assert "shop is stopped" in result.stderr or "shop is not running" in result.stderr


def test_stop_of_a_stopped_app_is_no_failure(fastlb: Fastlb, stopped: AppPaths) -> None:
    assert fastlb.ok("stop", "all").stdout == "shop: stopped already\n"


def test_delete_of_a_stopped_app_keeps_its_logs(fastlb: Fastlb, stopped: AppPaths) -> None:
    fastlb.ok("del", "shop")
    assert not stopped.app_dir.exists()
    assert stopped.out_log.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run workers as somebody else")
def test_delete_leaves_nothing_that_a_killed_supervisor_has_left_elsewhere(fastlb: Fastlb, stopped: AppPaths) -> None:
    config = AppConfig(name="shop", target="shop:app", metrics_app=True, uid="12345")
    directory = Path(counting_environment(config, stopped)[VARIABLE])
    assert directory.exists()
    fastlb.ok("delete", "shop")
    assert not directory.exists()


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ((), [f"out {number}" for number in range(17, 30)] + ["err 0", "err 1"]),
        (("--lines", "1"), ["err 1"]),
        (("-n", "2", "--out"), ["out 28", "out 29"]),
        (("--err", "--nostream"), ["err 0", "err 1"]),
        (("--lines", "0"), []),
    ],
)
def test_logs_of_a_stopped_app_are_its_last_lines(
    fastlb: Fastlb, stopped: AppPaths, options: tuple[str, ...], lines: list[str]
) -> None:
    assert fastlb.ok("logs", "shop", "--raw", *options).stdout.splitlines() == lines


@pytest.mark.parametrize("command", ["stop", "show", "restart", "reload", "delete", "logs", "list"])
def test_unknown_name_is_answered_with_the_nearest(fastlb: Fastlb, stopped: AppPaths, command: str) -> None:
    result = fastlb.cli(command, "shpo")
    assert result.returncode == 1
    assert result.stderr == "error: there is no app 'shpo'; did you mean shop?\n"


def test_one_unknown_name_of_several_keeps_the_command_from_doing_anything(fastlb: Fastlb, stopped: AppPaths) -> None:
    assert fastlb.cli("delete", "shop", "blog").returncode == 1
    assert stopped.config.exists()


def test_start_of_a_name_that_is_near_to_one(fastlb: Fastlb, stopped: AppPaths) -> None:
    result = fastlb.cli("start", "shpo")
    assert result.returncode == 1
    assert "did you mean shop?" in result.stderr


def test_stored_app_keeps_its_name(fastlb: Fastlb, stopped: AppPaths) -> None:
    result = fastlb.cli("start", "shop", "--name", "blog")
    assert result.returncode == 2
    assert "fastlb delete shop" in result.stderr


def test_directory_that_is_given_anew_means_the_same_from_elsewhere(
    fastlb: Fastlb, stopped: AppPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    monkeypatch.setenv("FASTLB_HOME", str(stopped.home))
    monkeypatch.chdir(tmp_path)
    assert requested_start("shop", (), {"cwd": "site"}, {}).config.cwd == str(tmp_path / "site")
