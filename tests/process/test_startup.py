"""`fastlb startup`: units that systemd understands, a real systemd that runs them over a boot, scripts of OpenRC."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastlb.cli.startup.boot_app import BootApp, Owner
from fastlb.cli.startup.openrc_scripts import scripts_of

from tests.support.fastlb_process import APPS, Fastlb
from tests.support.user_systemd import UserSystemd, is_possible
from tests.support.waiting import scaled, wait_until

UNIT = "fastlb-shop.service"
QUICK = "[Service]\nWatchdogSec=2\nRestartSec=0\n"


def saved(fastlb: Fastlb, *names: str, **settings: object) -> None:
    """Have these apps as `fastlb save` writes them down when they run."""
    fastlb.home.mkdir(exist_ok=True)
    usual: dict[str, object] = {"target": "asgi_probe:app", "cwd": str(APPS)}
    apps = [{"name": name, "is_running": True, "settings": {**usual, "name": name, **settings}} for name in names]
    (fastlb.home / "saved-apps.json").write_text(json.dumps({"version": 1, "apps": apps}))


def really_saved(fastlb: Fastlb) -> None:
    """Save an app that runs, and stop it."""
    bind = ("--bind", f"unix:{fastlb.directory}/shop.sock")
    fastlb.ok("start", "asgi_probe:app", "--name", "shop", *bind, "--settle", "0.1")
    fastlb.ok("save")
    fastlb.ok("stop", "shop")


def verified(*options: str, directory: Path) -> str:
    """Return what systemd says of the units in a directory."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    units = sorted(str(path) for path in directory.iterdir() if path.is_file())
    result = subprocess.run(
        ["systemd-analyze", *options, "verify", *units],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{directory}:"},
        capture_output=True,
        text=True,
        timeout=scaled(30),
    )
    return "\n".join(line for line in (result.stdout + result.stderr).splitlines() if "fastlb" in line)


def test_units_of_an_image_are_understood_enabled_and_taken_away(fastlb: Fastlb) -> None:
    saved(fastlb, "shop", cwd='/srv/odd 50% "place"; $HOME', kill_timeout=70, stop_exit_codes=[7])
    image = fastlb.directory / "image"
    directory = image / "etc/systemd/system"
    said = fastlb.ok("startup", "systemd", "--root", str(image)).stdout
    unit = directory / "fastlb-root-shop.service"
    assert f"wrote {unit}" in said
    text = unit.read_text()
    for line in ("Type=notify", "TimeoutStopSec=85", "SuccessExitStatus=7", "OOMPolicy=continue", "WatchdogSec=30"):
        assert line in text.splitlines()
    assert (image / "etc/systemd/system/multi-user.target.wants/fastlb-root.target").is_symlink()
    assert (directory / "fastlb-root.target.wants" / unit.name).is_symlink()
    assert verified(directory=directory) == ""
    broken = text.replace("Type=notify", "Type=notfy")
    unit.write_text(broken)
    assert "notfy" in verified(directory=directory), "systemd says what it does not understand"

    foreign = directory / "fastlb-root-other.service"
    foreign.write_text("[Service]\nExecStart=/bin/true\n")
    fastlb.ok("unstartup", "systemd", "--root", str(image))
    assert [path for path in image.rglob("*") if not path.is_dir()] == [foreign]


def test_what_was_saved_anew_replaces_what_was_there(fastlb: Fastlb) -> None:
    saved(fastlb, "shop")
    image = str(fastlb.directory / "image")
    fastlb.ok("startup", "systemd", "--root", image)
    saved(fastlb, "other")
    said = fastlb.ok("startup", "systemd", "--root", image).stdout
    assert "removed" in said
    units = (fastlb.directory / "image").rglob("*.service")
    assert {path.name for path in units} == {"fastlb-root-other.service"}


def test_units_of_a_user_are_understood(fastlb: Fastlb, tmp_path: Path) -> None:
    saved(fastlb, "shop")
    shown = fastlb.ok("startup", "systemd", "--user", "--print").stdout
    for part in shown.split("# /")[1:]:
        path, _, text = part.partition("\n")
        (tmp_path / Path(path).name).write_text(text)
    assert {path.name for path in tmp_path.iterdir()} == {"fastlb.target", UNIT}
    assert "User=" not in (tmp_path / UNIT).read_text()
    assert verified("--user", directory=tmp_path) == ""
    assert not (fastlb.directory / ".config").exists()


def test_a_real_systemd_starts_reloads_watches_and_brings_back_after_a_boot(fastlb: Fastlb) -> None:
    if not is_possible():
        pytest.skip("no systemd can be run here, or not by this user")
    fastlb.allow_left_sockets()
    really_saved(fastlb)
    drop_in = fastlb.directory / ".config/systemd/user" / f"{UNIT}.d"
    drop_in.mkdir(parents=True)
    (drop_in / "quick.conf").write_text(QUICK)
    fastlb_command = (sys.executable, "-P", "-m", "fastlb")
    with UserSystemd(fastlb.directory, fastlb.env) as systemd:
        result = systemd.run(*fastlb_command, "startup", "--user")
        assert result.returncode == 0, result.stdout + result.stderr
        started = systemd.systemctl("start", "fastlb.target", UNIT)
        assert started.returncode == 0, started.stderr
        assert systemd.property_of(UNIT, "ActiveState") == "active"
        answer_of(fastlb)
        assert systemd.property_of(UNIT, "StatusText").startswith("online: 1 of 1 workers online, on unix:")
        before = worker_of(systemd, *fastlb_command)
        reloaded = systemd.systemctl("reload", UNIT)
        assert reloaded.returncode == 0, reloaded.stderr
        assert worker_of(systemd, *fastlb_command) != before

        main = systemd.property_of(UNIT, "MainPID")
        assert systemd.run("kill", "-STOP", main).returncode == 0
        wait_until(lambda: systemd.property_of(UNIT, "MainPID") not in (main, "0"), "it was started anew", 20)
        wait_until(lambda: systemd.property_of(UNIT, "ActiveState") == "active", "it serves again", 20)
        assert systemd.property_of(UNIT, "NRestarts") == "1"
        answer_of(fastlb)
    fastlb.allow_in_logs("core dumped")  # as the watchdog's signal asks for

    with UserSystemd(fastlb.directory, fastlb.env) as systemd:
        wait_until(lambda: systemd.property_of(UNIT, "ActiveState") == "active", "a boot brings it back", 20)
        answer_of(fastlb)
        stopped = systemd.systemctl("stop", "fastlb.target")
        assert stopped.returncode == 0, stopped.stderr
        wait_until(lambda: systemd.property_of(UNIT, "ActiveState") == "inactive", "it has ended with the target", 20)
        assert systemd.property_of(UNIT, "Result") == "success"


def answer_of(fastlb: Fastlb) -> None:
    """Ask the app, which must answer."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(scaled(10))
        client.connect(str(fastlb.directory / "shop.sock"))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def worker_of(systemd: UserSystemd, *command: str) -> int:
    """Return the pid of the one worker that gets connections; an old one may still be leaving."""
    (app,) = json.loads(systemd.run(*command, "list", "--json").stdout)
    (worker,) = [worker for worker in app["workers"] if worker["status"] == "online"]
    return int(worker["pid"])


def test_script_of_openrc_is_a_shell_script(fastlb: Fastlb) -> None:
    saved(fastlb, "shop")
    image = fastlb.directory / "image"
    fastlb.ok("startup", "openrc", "--root", str(image))
    script = image / "etc/init.d/fastlb-root-shop"
    assert os.access(script, os.X_OK)
    assert (image / "etc/runlevels/default" / script.name).readlink() == Path("/etc/init.d") / script.name
    checked = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True, timeout=scaled(10))
    assert (checked.returncode, checked.stderr) == (0, "")
    if shutil.which("shellcheck"):
        found = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, timeout=scaled(30))
        assert found.returncode == 0, found.stdout
    variables = f". {script}; printf '%s\\n' \"$command $command_args\" \"$FASTLB_HOME\""
    said = subprocess.run(["sh", "-c", variables], capture_output=True, text=True, timeout=scaled(10))
    assert said.stdout.splitlines() == [f"{sys.executable} -P -m fastlb run --log-files shop", str(fastlb.home)]
    fastlb.ok("unstartup", "openrc", "--root", str(image))
    assert [path for path in image.rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize(
    ("is_restarted", "told"),
    [(True, "supervise-daemon:0:"), (False, "::yes")],  # supervise-daemon would run it twice, at the least
)
def test_script_of_openrc_starts_an_app_again_for_ever_or_never(is_restarted: bool, told: str) -> None:
    owner = Owner("root", 0, Path("/root/.fastlb"))
    app = BootApp("shop", "/srv", 30.0, 65536, is_restarted=is_restarted)
    script = "RC_SVCNAME=shop\n" + scripts_of(owner, [app])["fastlb-root-shop"]
    script += "\nprintf '%s' \"$supervisor:$respawn_max:$command_background\""
    script += "\nebegin() { :; }; eend() { :; }"
    script += "\nsupervise-daemon() { echo \"/supervise $*\"; }; start-stop-daemon() { echo \"/once $*\"; }; reload"
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=scaled(10))
    whom = "/supervise shop" if is_restarted else "/once"
    assert said.stdout == f"{told}{whom} --signal HUP --pidfile /run/shop.pid\n"


def test_who_is_not_root_is_told_what_root_types(fastlb: Fastlb) -> None:
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can be somebody else for a moment")
    saved(fastlb, "shop")
    for path in (fastlb.directory, fastlb.home, fastlb.home / "saved-apps.json"):
        shutil.chown(path, "nobody")
    command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", sys.executable, "-P", "-m", "fastlb"]
    options: dict[str, Any] = {"env": fastlb.env, "capture_output": True, "text": True, "timeout": scaled(30)}
    result = subprocess.run([*command, "startup", "systemd"], **options)
    assert result.returncode == 1, result.stderr
    (line,) = (line.strip() for line in result.stdout.splitlines() if "sudo" in line)
    assert line.endswith("startup systemd --username nobody")
    assert f"FASTLB_HOME={fastlb.home}" in line
    as_root = line.removeprefix("sudo ") + " --print"
    shown = subprocess.run(["sh", "-c", as_root], **options)
    assert "User=nobody\n" in shown.stdout, shown.stderr


@pytest.mark.parametrize(
    ("settings", "init", "message"),
    [
        ({"cwd": "/srv\nUser=root"}, ["systemd"], "the working directory"),
        ({"cwd": "/srv"}, [], "neither systemd nor OpenRC"),
    ],
)
def test_what_makes_no_sense_is_refused(
    fastlb: Fastlb, settings: dict[str, str], init: list[str], message: str
) -> None:
    if not init and (Path("/run/systemd/system").exists() or Path("/run/openrc").exists()):
        pytest.skip("an init system runs this machine")
    saved(fastlb, "shop", **settings)
    result = fastlb.cli("startup", *init, "--print")
    assert result.returncode == 2
    assert message in result.stderr
