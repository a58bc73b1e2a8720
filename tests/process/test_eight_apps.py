"""A file of eight apps through its life: started, changed, reloaded, saved, resurrected: what runs is what it says."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.fastlb_process import APPS, CliResult, Fastlb, describe
from tests.support.node_packages import node_binary
from tests.support.waiting import wait_until

NODE = """\
require('http').createServer((request, response) => response.end(process.env.LEVEL)).listen(0, '127.0.0.1');
"""


def apps() -> dict[str, dict[str, Any]]:
    """Return eight apps of every kind, in our words."""
    python = {"app_dir": str(APPS), "bind": "127.0.0.1:0"}
    job = {"target": "sleep 1000"}
    return {
        "asgi": python | {"target": "asgi_probe:app", "workers": 2},
        "wsgi": python | {"target": "wsgi_probe:app", "threads": 2},
        "factory": python | {"target": "asgi_probe:app", "kill_timeout": "5s"},
        "node": {"target": "server.js", "env": {"LEVEL": "1"}} if node_binary() else job,
        "first": job | {"env": {"LEVEL": "1"}, "env_production": {"LEVEL": "2"}},
        "second": job | {"workers": 2},
        "third": job | {"merge_logs": False},
        "fourth": job,
    }


def write(directory: Path, wanted: dict[str, dict[str, Any]]) -> None:
    text = {"defaults": {"settle": "0.1s", "listen_timeout": "60s"}, "apps": wanted}
    (directory / "fastlb.json").write_text(json.dumps(text, indent=1))


def do(fastlb: Fastlb, directory: Path, verb: str, *options: str) -> CliResult:
    result = fastlb.cli(verb, "fastlb.json", *options, cwd=directory, timeout=120)
    assert result.returncode == 0, describe(result)
    return result


def running(fastlb: Fastlb) -> dict[str, tuple[str, int]]:
    """Return status and number of workers of every app."""
    return {app["name"]: (app["status"], len(app["workers"])) for app in fastlb.list_json()}


def pids(fastlb: Fastlb, which: str = "pid") -> dict[str, Any]:
    """Return the pids of the supervisors, or of all workers."""
    if which == "pid":
        return {app["name"]: app["pid"] for app in fastlb.list_json()}
    return {app["name"]: {worker["pid"] for worker in app["workers"]} for app in fastlb.list_json()}


def settings(fastlb: Fastlb, names: list[str]) -> dict[str, Any]:
    return {name: json.loads(fastlb.ok("config", "show", name, "--json").stdout) for name in names}


def expected(wanted: dict[str, dict[str, Any]]) -> dict[str, tuple[str, int]]:
    return {name: ("online", app.get("workers", 1)) for name, app in wanted.items()}


def wait_running(fastlb: Fastlb, wanted: dict[str, dict[str, Any]]) -> None:
    """Wait until what runs is what the file says: old workers may be leaving for a moment."""
    wait_until(lambda: running(fastlb) == expected(wanted), "what the file says runs", timeout=15)


@pytest.mark.timeout(400)
def test_life_of_a_file(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "server.js").write_text(NODE)
    wanted = apps()
    write(tmp_path, wanted)
    do(fastlb, tmp_path, "start", "--env", "production")
    wait_running(fastlb, wanted)
    supervisors = pids(fastlb)
    assert do(fastlb, tmp_path, "start").stderr.count(": runs as the file says") == 8
    assert pids(fastlb) == supervisors

    wanted["asgi"] |= {"workers": 3}
    wanted["factory"] |= {"kill_timeout": "6s"}
    wanted["second"] |= {"workers": 1}
    wanted["fifth"] = wanted.pop("fourth")
    write(tmp_path, wanted)
    workers = pids(fastlb, "workers")
    do(fastlb, tmp_path, "reload")
    wait_running(fastlb, wanted)
    after = pids(fastlb)
    assert {name for name in after if after[name] != supervisors.get(name)} == {"fifth"}
    found = pids(fastlb, "workers")
    assert not any(workers[name] & found[name] for name in workers if name in found)

    before = settings(fastlb, list(wanted))
    assert before["first"]["env"]["origin"].startswith("fastlb.json:")
    do(fastlb, tmp_path, "stop")
    assert {status for status, _ in running(fastlb).values()} == {"stopped"}
    do(fastlb, tmp_path, "start")
    wait_running(fastlb, wanted)
    assert settings(fastlb, list(wanted)) == before
    fastlb.ok("save")
    fastlb.ok("kill", timeout=120)
    assert {status for status, _ in running(fastlb).values()} == {"stopped"}
    fastlb.ok("resurrect", timeout=120)
    wait_running(fastlb, wanted)
    assert settings(fastlb, list(wanted)) == before
    assert do(fastlb, tmp_path, "start").stderr.count(": runs as the file says") == 8
    do(fastlb, tmp_path, "delete")
    assert fastlb.list_json() == []
