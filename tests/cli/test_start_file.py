"""`fastlb start FILE`: several apps at a time, all or none, and what runs is made to match the file."""

import json
from pathlib import Path
from typing import Any

from tests.support.fastlb_process import APPS, CliResult, Fastlb
from tests.support.waiting import wait_until

JOB = "sleep 1000"


def write(directory: Path, apps: dict[str, dict[str, Any]]) -> None:
    """Write fastlb.json, in our words."""
    (directory / "fastlb.json").write_text(json.dumps({"apps": apps}, indent=1))


def probe(**settings: Any) -> dict[str, Any]:
    return {"target": "asgi_probe:app", "app_dir": str(APPS), "bind": "127.0.0.1:0", "settle": "0.1s"} | settings


def job(**settings: Any) -> dict[str, Any]:
    return {"target": JOB, "settle": "0.1s"} | settings


def start(fastlb: Fastlb, directory: Path, *options: str) -> CliResult:
    return fastlb.cli("start", "fastlb.json", *options, cwd=directory)


def running(fastlb: Fastlb) -> dict[str, int]:
    """Return the pids of the supervisors that run, by app."""
    return {app["name"]: app["pid"] for app in fastlb.list_json() if app["pid"]}


def environment(fastlb: Fastlb, name: str) -> dict[str, str]:
    """Return the environment of a worker of the app's newest generation: old ones may be leaving."""
    (entry,) = [app for app in fastlb.list_json() if app["name"] == name]
    newest = max(entry["workers"], key=lambda worker: int(worker["generation"]))
    text = Path(f"/proc/{newest['pid']}/environ").read_text()
    return dict(line.split("=", 1) for line in text.split("\0") if line)


def test_what_runs_is_made_to_match(fastlb: Fastlb, tmp_path: Path) -> None:
    write(tmp_path, {"shop": probe(), "job": job(env={"A": "1"}, env_production={"A": "2"}), "old": job()})
    first = start(fastlb, tmp_path, "--env", "production")
    assert first.returncode == 0, first.stderr
    assert "shop: listens on 127.0.0.1:" in first.stdout
    before = running(fastlb)
    assert set(before) == {"shop", "job", "old"}
    assert environment(fastlb, "job")["A"] == "2"

    again = start(fastlb, tmp_path)
    assert again.stderr.count(": runs as the file says") == 3
    assert running(fastlb) == before

    write(tmp_path, {"shop": probe(workers=2), "job": job(env={"A": "1"}), "new": job()})
    shown = start(fastlb, tmp_path, "--dry-run").stdout.splitlines()
    assert shown[0] == "old: stop and delete, as the file has it no more"
    assert shown[1:3] == ["shop: scale", "  workers: 1 -> 2"]
    assert "  env: A changed" in shown
    assert running(fastlb) == before

    changed = start(fastlb, tmp_path)
    assert changed.returncode == 0, changed.stderr
    after = running(fastlb)
    assert set(after) == {"shop", "job", "new"}
    assert after["shop"] == before["shop"]
    assert environment(fastlb, "job")["A"] == "1"
    wait_until(lambda: [len(app["workers"]) for app in fastlb.list_json()] == [1, 1, 2], "old ones have left")


def worker_pids(fastlb: Fastlb, name: str) -> list[int]:
    (entry,) = [app for app in fastlb.list_json() if app["name"] == name]
    return [worker["pid"] for worker in entry["workers"]]


def test_reload_brings_what_the_file_says_now(fastlb: Fastlb, tmp_path: Path) -> None:
    write(tmp_path, {"shop": probe(env={"A": "1", "B": "1"}), "job": job()})
    assert start(fastlb, tmp_path).returncode == 0
    before, workers = running(fastlb), worker_pids(fastlb, "job")

    write(tmp_path, {"shop": probe(env={"A": "2"}, kill_timeout="9s"), "job": job(), "new": job()})
    result = fastlb.cli("reload", "fastlb.json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    shown = result.stderr.splitlines()[:5]
    changes = ["  env: A changed, B removed", "  kill_timeout: 30s -> 9s"]
    assert shown == ["shop: reload", *changes, "job: reload", "new: start"]
    assert running(fastlb) == before | {"new": running(fastlb)["new"]}
    assert worker_pids(fastlb, "job") != workers
    seen = environment(fastlb, "shop")
    assert (seen["A"], "B" in seen) == ("2", False)
    assert 'kill_timeout = "9s"' in fastlb.ok("config", "show", "shop").stdout


def test_what_takes_a_start_is_said_and_restart_does_it(fastlb: Fastlb, tmp_path: Path) -> None:
    write(tmp_path, {"shop": probe(), "job": job()})
    assert start(fastlb, tmp_path).returncode == 0
    before = running(fastlb)
    write(tmp_path, {"shop": probe(backlog=64), "job": job(env={"A": "1"})})
    result = fastlb.cli("reload", "fastlb.json", cwd=tmp_path)
    assert result.returncode == 2
    message = "shop: no reload can change backlog (fastlb.json:8:4): `fastlb restart FILE` stops the app and starts it"
    assert f"error: {message}" in result.stderr
    assert running(fastlb) == before
    assert "A" not in environment(fastlb, "job")

    result = fastlb.cli("restart", "fastlb.json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "shop: stop and start, as no reload can change backlog" in result.stderr
    after = running(fastlb)
    assert (after["job"], after["shop"] == before["shop"]) == (before["job"], False)
    assert environment(fastlb, "job")["A"] == "1"


def test_an_environment_is_kept_until_another_is_chosen(fastlb: Fastlb, tmp_path: Path) -> None:
    write(tmp_path, {"job": job(env={"A": "1"}, env_production={"A": "2"}, env_test={"A": "3"})})
    seen = []
    steps: list[tuple[str, ...]] = [("start", "--env", "production"), ("reload",), ("reload", "--env", "test")]
    for verb, *options in (*steps, ("restart", "--env=")):
        result = fastlb.cli(verb, "fastlb.json", *options, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        seen.append(environment(fastlb, "job")["A"])
    assert seen == ["2", "2", "3", "1"]


def test_a_bad_app_keeps_all_from_starting(fastlb: Fastlb, tmp_path: Path) -> None:
    write(tmp_path, {"job": job(), "bad": job(wrokers=2), "worse": job(cwd="nowhere")})
    result = start(fastlb, tmp_path)
    assert (result.returncode, fastlb.list_json()) == (2, [])
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error: fastlb.json:10:4: there is no setting 'wrokers'; did you mean workers?")
    assert lines[1].startswith("error: fastlb.json:12:3: cannot work in ")
    assert lines[2] == "error: fastlb.json has 2 errors, and nothing was done; --keep-going does what is good of it"

    result = start(fastlb, tmp_path, "--keep-going")
    assert (result.returncode, list(running(fastlb))) == (2, ["job"])


def test_what_fails_leaves_the_others(fastlb: Fastlb, tmp_path: Path) -> None:
    write(tmp_path, {"shop": probe(target="dies_at_import:app"), "job": job()})
    fastlb.allow_in_logs("Traceback")
    result = start(fastlb, tmp_path)
    assert (result.returncode, list(running(fastlb))) == (1, ["job"])
    assert "Traceback" in result.stderr


def test_only_some_and_the_command_line_over_the_file(fastlb: Fastlb, tmp_path: Path) -> None:
    write(tmp_path, {"shop": probe(), "job": job(env={"A": "1", "B": "1"})})
    result = start(fastlb, tmp_path, "--only", "job", "--workers", "2", "--env", "A=3")
    assert result.returncode == 0, result.stderr
    (entry,) = fastlb.list_json()
    assert (entry["name"], len(entry["workers"]), entry["cwd"]) == ("job", 2, str(tmp_path))
    seen = environment(fastlb, "job")
    assert (seen["A"], seen["B"]) == ("3", "1")


def test_an_app_of_another_place_keeps_its_name(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    write(tmp_path, {"job": job()})
    assert start(fastlb, tmp_path).returncode == 0
    write(tmp_path / "other", {"job": job()})
    result = start(fastlb, tmp_path / "other")
    assert result.returncode == 2
    assert f"this is the name of another app, {JOB} in {tmp_path}" in result.stderr


def test_autostart_false_is_noted(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"apps": [{"name": "job", "script": JOB, "autostart": False}]}))
    assert fastlb.cli("start", "a.json", cwd=tmp_path).returncode == 0
    assert [(app["name"], app["status"]) for app in fastlb.list_json()] == [("job", "stopped")]
    assert fastlb.cli("start", "job").returncode == 0


def test_options_for_files_need_a_file(fastlb: Fastlb) -> None:
    for options in (("--only", "x"), ("--dry-run",), ("--keep-going",), ("--env", "production")):
        result = fastlb.cli("start", "asgi_probe:app", *options)
        assert result.returncode == 2
        assert options[0] in result.stderr
        assert "configuration file" in result.stderr


def test_commands_take_the_file_for_its_apps(fastlb: Fastlb, tmp_path: Path) -> None:
    write(tmp_path, {"job": job(), "second": job()})
    assert start(fastlb, tmp_path).returncode == 0
    fastlb.ok("start", JOB, "--name", "other", "--settle", "0.1")
    assert fastlb.cli("stop", "fastlb.json", cwd=tmp_path).returncode == 0
    assert list(running(fastlb)) == ["other"]
    assert fastlb.cli("delete", "fastlb.json", cwd=tmp_path).returncode == 0
    assert [app["name"] for app in fastlb.list_json()] == ["other"]
    result = fastlb.cli("stop", "fastlb.json", cwd=tmp_path)
    assert result.returncode == 1
    assert "no app was started from fastlb.json: `fastlb start fastlb.json`" in result.stderr


def test_run_takes_apps_of_a_file(fastlb: Fastlb, tmp_path: Path) -> None:
    say = {"target": "sh -c 'echo said $A'", "autorestart": False, "env_production": {"A": "42"}}
    write(tmp_path, {"job": job(), "say": say})
    result = fastlb.cli("run", "fastlb.json", "--only", "say", "--env", "production", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "said 42\n")
    assert fastlb.list_json() == []


def test_an_app_that_was_stopped_for_a_start_that_fails_runs_again_as_before(fastlb: Fastlb, tmp_path: Path) -> None:
    write(tmp_path, {"shop": probe(env={"A": "1"})})
    assert start(fastlb, tmp_path).returncode == 0
    write(tmp_path, {"shop": probe(env={"A": "2"}, backlog=7, target="asgi_probe:no_such_app")})
    result = fastlb.cli("restart", "fastlb.json", cwd=tmp_path)
    assert result.returncode != 0
    assert "; it runs again with the settings of before" in result.stderr
    assert environment(fastlb, "shop")["A"] == "1"
    (app,) = fastlb.list_json()
    assert (app["status"], app["target"]) == ("online", "asgi_probe:app")
