"""What docs/ shows for systemd, nginx, HAProxy, Caddy, logrotate and containers is understood by its readers."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.settings.quantities import parse_duration

from tests.support.fastlb_process import COMMAND
from tests.support.waiting import scaled

from .pages import DOCS
from .sources import ROOT
from .test_pages import unknown_words

INSTALLED = "/srv/shop/.venv/bin/fastlb"
SETTLED_SECONDS = 20.0


def blocks(page: str, language: str) -> Iterator[str]:
    for found in re.finditer(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL):
        yield found.group(1)


def check(program: str, *arguments: str, **env: str) -> str:
    """Run a program that reads a file; return what it says. Skips where there is none."""
    path = shutil.which(program) or shutil.which(program, path=f"/usr/sbin:/sbin:{sys.prefix}/bin")
    if path is None:
        pytest.skip(f"no {program} here")
    options = {"capture_output": True, "text": True, "timeout": scaled(SETTLED_SECONDS)}
    result = subprocess.run([path, *arguments], env={**os.environ, **env}, **options)  # type: ignore[call-overload]
    assert result.returncode == 0, result.stdout + result.stderr
    return str(result.stdout + result.stderr)


def units() -> dict[str, str]:
    """Return the units of the page by name: the first line of each says where it belongs."""
    return {text.splitlines()[0].rpartition("/")[2]: text for text in blocks("systemd.md", "systemd")}


def test_units_are_understood_by_systemd(tmp_path: Path) -> None:
    for name, text in units().items():
        (tmp_path / name).write_text(text.replace(INSTALLED, str(COMMAND)))
    said = check("systemd-analyze", "verify", *map(str, tmp_path.iterdir()), SYSTEMD_UNIT_PATH=f"{tmp_path}:")
    assert [line for line in said.splitlines() if "shop." in line] == []


def test_unit_stops_later_than_a_worker_that_drains() -> None:
    unit = units()["shop.service"]
    allowed = re.search(r"TimeoutStopSec=(\d+)", unit)
    assert allowed
    assert float(allowed.group(1)) > AppConfig(target="a:b", name="a").kill_timeout
    assert "KillMode=mixed" in unit
    assert "fastlb run " in unit, "systemd watches a process in the foreground"


@pytest.mark.parametrize("unit", units())
def test_commands_of_units_exist(unit: str) -> None:
    commands = re.findall(rf"^Exec\w+={INSTALLED} (.*)$", units()[unit], re.MULTILINE)
    assert [words for command in commands if (words := unknown_words(command))] == []


def test_site_is_understood_by_nginx(tmp_path: Path) -> None:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds)
    (site,) = blocks("nginx.md", "nginx")
    site = site.replace("listen 80;", "listen 127.0.0.1:8080;")
    text = f"error_log stderr; pid {tmp_path}/pid; events {{}} http {{ access_log off;\n{temporary}{site}}}"
    (tmp_path / "nginx.conf").write_text(text)
    check("nginx", "-t", "-c", str(tmp_path / "nginx.conf"), "-e", "stderr")


def test_nginx_gives_up_idle_connections_first() -> None:
    (site,) = blocks("nginx.md", "nginx")
    kept = re.search(r"keepalive_timeout (\w+);", site)
    assert kept
    assert parse_duration(kept.group(1)) < AppConfig(target="a:b", name="a").timeout_keep_alive


def test_rules_are_understood_by_logrotate(tmp_path: Path) -> None:
    (rules,) = (text for text in blocks("logrotate.md", "") if text.startswith("# /etc/logrotate.d"))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "shop-out.log").write_text("line\n")
    rules = rules.replace("/srv/shop/.fastlb/logs", str(tmp_path / "logs")).replace("su shop shop", "")
    (tmp_path / "rules").write_text(rules)
    (tmp_path / "rules").chmod(0o644)
    said = check("logrotate", "-d", "-f", "-s", str(tmp_path / "state"), str(tmp_path / "rules"))
    assert "error" not in said
    assert "shop-out.log" in said


def test_configuration_is_understood_by_haproxy(tmp_path: Path) -> None:
    for text in blocks("deploying.md", "haproxy"):
        (tmp_path / "haproxy.cfg").write_text(text)
        check("haproxy", "-c", "-f", str(tmp_path / "haproxy.cfg"))


def test_configuration_is_understood_by_caddy(tmp_path: Path) -> None:
    (text,) = blocks("deploying.md", "caddyfile")
    (tmp_path / "Caddyfile").write_text(text)
    check("caddy", "validate", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile", HOME=str(tmp_path))


def test_pod_has_time_to_finish() -> None:
    (text,) = blocks("deploying.md", "yaml")
    pod = yaml.safe_load(text)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    _, pause = container["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] > int(pause) + AppConfig(target="a:b", name="a").kill_timeout


def test_container_runs_in_the_foreground_by_the_exec_form() -> None:
    text = (ROOT / "examples" / "Dockerfile").read_text()
    lines = text.replace("\\\n", " ").splitlines()
    (command,) = (json.loads(line.partition(" ")[2]) for line in lines if line.startswith("CMD "))
    assert command[:2] == ["fastlb", "run"]
    assert unknown_words(" ".join(command[1:])) == []
    assert [line for line in lines if line.startswith("USER ")], "not as root"
    (health,) = (line.partition(" CMD ")[2] for line in lines if line.startswith("HEALTHCHECK"))
    assert json.loads(health)[0] == "python"
