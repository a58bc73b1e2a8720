"""Workers of each kind run as the user, and with the limits, that the settings say. Read from /proc."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.fastlb_process import App, Fastlb
from tests.support.node_driver import start_node
from tests.support.waiting import wait_until

KINDS = ["python", "node", "fork"]
ASK_FOR_ROOT = """
from fastlb.supervisor.processes.attributes import identity_of
from fastlb.supervisor.settings.app_config import AppConfig
identity_of(AppConfig(target="app:app", name="app", uid="root"))
"""
NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


def start(fastlb: Fastlb, kind: str, *options: str) -> App:
    if kind == "node":
        return start_node(fastlb, "hoarder.js", "--settle", "0.1", *options)
    if kind == "fork":
        fastlb.ok(
            "start", "--fork", "--name", "app", "--workers", "2", "--settle", "0.1", *options, "sleep", "--", "60"
        )
        app = fastlb.app()
        # Settled does not mean that the step before the program is over, on a slow machine.
        wait_until(lambda: [len(processes.command_line(pid)) for pid in app.worker_pids] == [2, 2], "the programs run")
        return app
    return fastlb.start("hoarder:app", "--workers", "2", "--settle", "0.1", *options)


def status_of(pid: int) -> dict[str, list[str]]:
    """Return /proc/PID/status: values by name."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


def environment_of(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def need_program_for_all(kind: str) -> None:
    """Skip where another user cannot execute what workers of a kind are made of."""
    used = {"python": [sys.executable, __file__], "node": [shutil.which("node") or "/", __file__], "fork": []}
    for path in (Path(name).resolve() for name in used[kind]):
        if any(not parent.stat().st_mode & 0o001 for parent in path.parents):
            pytest.skip(f"{path} is for its owner alone")


@pytest.mark.parametrize("kind", KINDS)
def test_limits_priority_cpu_and_umask(fastlb: Fastlb, kind: str) -> None:
    app = start(fastlb, kind, "--nofile", "777", "--nice", "3", "--pin-cpus", "--umask", "0027")
    usable = sorted(os.sched_getaffinity(0))
    for worker in app.entry()["workers"]:
        pid = worker["pid"]
        assert processes.open_file_limit(pid)[0] == 777
        assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0) + 3
        assert os.sched_getaffinity(pid) == {usable[worker["id"] % len(usable)]}
        assert status_of(pid)["Umask"] == ["0027"]


@as_root
@pytest.mark.parametrize("kind", KINDS)
def test_workers_are_another_user_and_nothing_else(fastlb: Fastlb, kind: str) -> None:
    need_program_for_all(kind)
    app = start(fastlb, kind, "--uid", "nobody")
    groups = os.getgrouplist("nobody", NOBODY.pw_gid)
    for pid in app.worker_pids:
        status = status_of(pid)
        assert status["Uid"] == [str(NOBODY.pw_uid)] * 4
        assert status["Gid"] == [str(NOBODY.pw_gid)] * 4
        assert sorted(map(int, status["Groups"])) == sorted(groups)
        assert status["CapEff"] == ["0000000000000000"]
        env = environment_of(pid)
        assert (env["USER"], env["LOGNAME"], env["HOME"]) == ("nobody", "nobody", NOBODY.pw_dir)
    if kind != "fork":
        assert app.get().status == 200
    app.ok("reload")


@as_root
def test_group_can_be_another_and_numbers_need_no_account(fastlb: Fastlb) -> None:
    app = start(fastlb, "fork", "--uid", "4711", "--gid", "4712")
    status = status_of(app.worker_pids[0])
    assert (status["Uid"], status["Gid"], status["Groups"]) == (["4711"] * 4, ["4712"] * 4, ["4712"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--uid", "no-such-user"), "--uid no-such-user: there is no such user"),
        (("--gid", "no-such-group"), "--gid no-such-group: there is no such group"),
        (("--uid", "99999999999"), "give at most"),
        (("--umask", "999"), "--umask: '999' is no octal mode"),
    ],
)
def test_what_cannot_be_is_refused(fastlb: Fastlb, options: tuple[str, str], message: str) -> None:
    result = fastlb.try_start("asgi_probe:app", *options)
    assert result.returncode == 2
    assert message in result.stderr


@as_root
def test_process_that_cannot_become_the_user_never_runs(fastlb: Fastlb, tmp_path: Path) -> None:
    """A program in a directory of root's alone: the process is nobody by then, and may not execute it."""
    tmp_path.chmod(0o700)
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\ntouch ran\nsleep 60\n")
    program.chmod(0o755)
    result = fastlb.cli("start", "--fork", "--name", "app", "--uid", "nobody", "--settle", "30", str(program))
    assert result.returncode == 1
    assert "Permission denied" in result.stderr + result.stdout
    assert not (tmp_path / "ran").exists()


@as_root
def test_only_root_may_choose_a_user() -> None:
    need_program_for_all("python")
    command = [sys.executable, "-c", ASK_FOR_ROOT]
    asked = subprocess.run(command, user="nobody", env={}, cwd="/", capture_output=True, text=True, timeout=60)
    assert "only root may start workers as somebody else" in asked.stderr
