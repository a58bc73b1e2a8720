"""What was saved comes back: the running set, stopped apps, and the files that apps are started from."""

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from fastlb.supervisor.home.paths import AppPaths, prepare_app_dir, prepare_home
from fastlb.supervisor.home.saved_apps import FILE_NAME, FORMER_FILE_NAME
from fastlb.supervisor.home.stored_config import save_config
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.fastlb_process import Fastlb
from tests.support.programs import write_program
from tests.support.waiting import wait_until


def remember(fastlb: Fastlb, *names: str) -> None:
    """Make stopped apps."""
    prepare_home(fastlb.home)
    for name in names:
        paths = AppPaths(fastlb.home, name)
        prepare_app_dir(paths)
        save_config(paths, AppConfig(target="asgi_probe:app", name=name, env={"TOKEN": "canary-7"}))


def names_listed(fastlb: Fastlb) -> dict[str, str]:
    return {entry["name"]: entry["status"] for entry in fastlb.list_json()}


def test_what_ran_runs_again_and_what_was_stopped_is_listed(fastlb: Fastlb, tmp_path: Path) -> None:
    fastlb.env["CANARY"] = "of-the-shell"
    write_program(tmp_path / "job.sh", "exec sleep 1000")
    options = ("--cwd", str(tmp_path), "--settle", "0.1", "--env", "COLOR=red")
    fastlb.ok("start", "--fork", "job.sh", "-n", "job", "-w", "2", *options)
    remember(fastlb, "shop")
    before = fastlb.app("job").show()["settings"]
    assert "saved 2 apps, 1 of them running" in fastlb.ok("save").stdout
    saved = fastlb.home / FILE_NAME
    assert saved.stat().st_mode & 0o777 == 0o600
    assert "of-the-shell" not in saved.read_text()
    fastlb.ok("delete", "all")
    assert names_listed(fastlb) == {}
    assert sorted(fastlb.ok("dump", "--force").stdout.split()[:2]) == ["0", "saved"]
    saved.unlink()  # so the backup, of before, counts
    result = fastlb.ok("resurrect")
    assert f"warning: cannot read {saved}" in result.stderr
    assert names_listed(fastlb) == {"job": "online", "shop": "stopped"}
    assert fastlb.app("job").show()["settings"] == before
    assert "job: runs already" in fastlb.ok("resurrect").stdout


@pytest.mark.parametrize("damage", ["", '{"version": 1, "apps": [', '{"version": 99, "apps": []}', "[]"])
def test_damaged_file_falls_back_to_the_one_before(fastlb: Fastlb, damage: str) -> None:
    remember(fastlb, "shop")
    fastlb.ok("save")
    fastlb.ok("save")
    (fastlb.home / FILE_NAME).write_text(damage)
    result = fastlb.ok("resurrect")
    assert result.stderr.startswith(f"warning: {fastlb.home / FILE_NAME} ")
    assert result.stderr.endswith(": this is what was saved before\n")
    assert result.stdout == "shop: is stopped, as it was\n"
    fastlb.ok("save")
    assert json.loads((fastlb.home / FORMER_FILE_NAME).read_text())["apps"], "a damaged file is no backup"


def test_setting_of_another_release_is_left_out_and_said(fastlb: Fastlb) -> None:
    remember(fastlb, "shop")
    fastlb.ok("save")
    path = fastlb.home / FILE_NAME
    saved = json.loads(path.read_text())
    saved["apps"][0]["settings"] |= {"reload_settle": 2.0, "restart_delay": 0.5, "warp": 9}
    del saved["apps"][0]["settings"]["settle"]
    del saved["apps"][0]["settings"]["exp_backoff_restart_delay"]  # it grew, before there was a fixed one
    path.write_text(json.dumps(saved))
    fastlb.ok("delete", "shop")
    assert fastlb.ok("resurrect").stdout.endswith("as it was (left out, as it is unknown now: warp)\n")
    settings = fastlb.app("shop").show()["settings"]
    assert (settings["settle"], settings["exp_backoff_restart_delay"], settings["restart_delay"]) == (2.0, 0.5, 0.0)


def test_nothing_to_save_and_nothing_saved(fastlb: Fastlb) -> None:
    assert fastlb.cli("save").stderr.startswith("error: there are no apps: nothing was saved")
    assert fastlb.cli("resurrect").stderr == "error: nothing was saved: `fastlb save` writes down what runs\n"
    remember(fastlb, "shop")
    fastlb.ok("save")
    assert fastlb.ok("cleardump").stdout == "what was saved is forgotten\n"
    assert fastlb.ok("cleardump").stdout == "nothing was saved\n"


def test_backup_is_restored_with_its_files(fastlb: Fastlb, tmp_path: Path) -> None:
    remember(fastlb, "shop")
    file = tmp_path / "ecosystem.config.js"
    file.write_text("module.exports = {}\n")
    source = fastlb.home / "apps" / "shop" / "source.json"
    source.write_bytes(msgspec.json.encode({"file": str(file), "environment": "production"}))
    copy = tmp_path / "backup"
    assert str(file) in fastlb.ok("backup", "--logs", str(copy)).stdout
    assert copy.stat().st_mode & 0o777 == 0o700
    assert (copy / "logs.tar.gz").exists()
    assert "is not empty" in fastlb.cli("backup", str(copy)).stderr
    fastlb.ok("delete", "shop")
    file.write_text("changed\n")
    result = fastlb.ok("restore", str(copy))
    assert f"{file}: put back" in result.stdout
    assert file.read_text() == "module.exports = {}\n"
    assert file.with_name("ecosystem.config.js.before-restore").read_text() == "changed\n"
    assert names_listed(fastlb) == {"shop": "stopped"}
    assert json.loads(source.read_text())["environment"] == "production"
    assert "there is no saved-apps.json in it" in fastlb.cli("restore", str(tmp_path)).stderr


def test_report_and_ping(fastlb: Fastlb) -> None:
    remember(fastlb, "shop")
    report = fastlb.ok("report").stdout
    assert "canary-7" not in report
    assert {"fastlb", "python", "kernel", "apps"} <= {line.partition(" ")[0] for line in report.splitlines()}
    assert fastlb.ok("ping").stdout == "pong: no app runs\n"
    assert "shop is not running" in fastlb.cli("ping", "shop").stderr


def file_of(names: Sequence[str], more: str = "") -> str:
    """Return a configuration file with an app of each name; `more`: lines for the last."""
    return "".join(f'[apps.{name}]\ntarget = "job.sh"\nexec_mode = "fork"\nsettle = 0.1\n' for name in names) + more


def test_eight_apps_of_a_file_come_back_as_they_were(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "job.sh", "exec sleep 1000")
    file = tmp_path / "fastlb.toml"
    file.write_text(file_of([f"job-{number}" for number in range(8)]))
    fastlb.ok("start", str(file))
    file.write_text(file_of([f"job-{number}" for number in range(1, 9)], "workers = 2\n"))
    fastlb.ok("start", str(file))
    fastlb.ok("reload", "job-8")
    fastlb.ok("stop", "job-3")

    def what_runs() -> list[tuple[object, ...]]:
        return [(entry["name"], entry["status"], len(entry["workers"])) for entry in fastlb.list_json()]

    before = what_runs()
    names = [f"job-{number}" for number in range(1, 9)]
    assert before == [
        (name, *{"job-3": ("stopped", 0), "job-8": ("online", 2)}.get(name, ("online", 1))) for name in names
    ]
    fastlb.ok("save")
    fastlb.allow_left_sockets()
    for name in names:
        if name != "job-3":
            os.kill(fastlb.app(name).supervisor_pid, signal.SIGKILL)
    wait_until(lambda: not fastlb.pids, "everything is killed", timeout=15)
    fastlb.ok("resurrect")
    wait_until(lambda: what_runs() == before, "all is as it was", timeout=15)
    assert fastlb.ok("start", str(file)).returncode == 0
