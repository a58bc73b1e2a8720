"""Other settings and another environment for the next workers, on real processes: what each generation has."""

import json
import os
import signal
from pathlib import Path

import msgspec
import pytest
from fastlb.supervisor.errors import FastlbError, StartFailed, UsageError
from fastlb.supervisor.generations.change import Change

from tests.support.fastlb_process import App, Fastlb, describe
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.node_driver import start_node
from tests.support.programs import start_program, write_program
from tests.support.running_app import RunningApp, config, ignore_progress, run
from tests.support.waiting import wait_until


def environment_of(pid: int) -> dict[str, str]:
    """Return what a process was started with."""
    pairs = (line.partition("=") for line in Path(f"/proc/{pid}/environ").read_text().split("\0") if line)
    return {name: value for name, _, value in pairs}


def environments(app: App, name: str) -> list[str | None]:
    """Return the value of a variable in each worker."""
    return [environment_of(pid).get(name) for pid in app.worker_pids]


@pytest.mark.parametrize("kind", ["python", "node"])
def test_settings_change_without_downtime(fastlb: Fastlb, kind: str) -> None:
    options = ("--env", "COLOUR=red")
    if kind == "node":
        app = start_node(fastlb, "http.js", *options)
    else:
        app = fastlb.start("asgi_probe:app", "-w", "2", *options)
    with LoadProcess(Plan(address=app.address, keep_alive=True)) as load:
        load.wait_for(100)
        said = app.ok("set", "env.COLOUR=blue", "nice=3", "workers=3").stdout
        assert said == "app: workers, env.COLOUR, nice: for new workers, which `fastlb reload app` starts\n"
        assert environments(app, "COLOUR") == ["red", "red"]
        app.ok("reload")
        app.wait_online(3)
        load.wait_for(100)
    assert load.report.failed == 0, load.report
    assert environments(app, "COLOUR") == ["blue"] * 3
    assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in app.worker_pids} == {3}


def test_show_tells_what_workers_have_and_what_the_next_ones_get(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--kill-timeout", "7s")
    app.ok("set", "kill_timeout=9", "env.SECRET=x")
    shown = app.show()
    assert (shown["settings"]["kill_timeout"], shown["settings"]["env"]) == (7.0, {})
    assert shown["next_settings"] == {"kill_timeout": 9.0, "env": {"SECRET": "***"}}
    text = fastlb.ok("show", "app").stdout
    assert "settings after the next reload" in text
    assert [line.split() for line in text.splitlines() if line.startswith("kill_timeout")] == [
        ["kill_timeout", "7s"],
        ["kill_timeout", "9s"],
    ]
    app.ok("set", "--unset", "env.SECRET", "kill_timeout=7s")
    assert app.show()["next_settings"] == {}


def test_what_was_set_outlives_a_stop(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    app.ok("set", "env.COLOUR=blue")
    app.ok("stop")
    assert "the next `fastlb start app`" in app.ok("set", "env.SHAPE=round").stdout
    fastlb.ok("start", "app")
    assert environments(app, "COLOUR") + environments(app, "SHAPE") == ["blue", "round"]


def test_what_needs_a_start_is_refused_and_nothing_changes(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    refused = fastlb.cli("set", "app", "balance=ip-hash", "env.A=1")
    assert refused.returncode == 2, describe(refused)
    assert "`fastlb stop app`, then `fastlb start app --balance ...`" in refused.stderr
    wrong = fastlb.cli("set", "app", "threads=many")
    assert (wrong.returncode, "threads: 'many' is not a whole number" in wrong.stderr) == (2, True), describe(wrong)
    assert app.show()["next_settings"] == {}


@pytest.mark.parametrize("command", ["reload", "restart"])
def test_update_env_gives_new_workers_the_environment_of_the_shell(fastlb: Fastlb, command: str) -> None:
    fastlb.env |= {"FROM_SHELL": "old", "GOES": "1"}
    app = fastlb.start("asgi_probe:app", "--env", "OWN=1")
    fastlb.env["FROM_SHELL"] = "new"
    del fastlb.env["GOES"]
    app.ok(command)
    assert environments(app, "FROM_SHELL") == ["old"]
    app.ok(command, "--update-env")
    (environment,) = [environment_of(pid) for pid in app.worker_pids]
    assert (environment["FROM_SHELL"], environment.get("GOES"), environment["OWN"]) == ("new", None, "1")
    os.kill(app.worker_pids[0], signal.SIGKILL)
    wait_until(lambda: app.log("supervisor").count("worker_crashed"), "the crash is seen")
    app.wait_online(1)
    assert environments(app, "FROM_SHELL") == ["new"]


def test_program_gets_other_arguments_and_another_directory(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", 'echo "$PWD $1"', "sleep 1000 & wait")
    (tmp_path / "other").mkdir()
    write_program(tmp_path / "other" / "worker.sh", 'echo "$PWD $1"', "sleep 1000 & wait")
    app = start_program(fastlb, tmp_path, "--fork", "./worker.sh", "--", "one")
    wait_until(lambda: app.log("out"), "it has said where it is")
    app.ok("set", "args='two words'", f"cwd={tmp_path}/other")
    app.ok("reload")
    lines = [f"{tmp_path} one", f"{tmp_path}/other two words"]
    wait_until(lambda: app.log("out").splitlines() == lines, "both have said where they are")


def test_reload_that_fails_leaves_everything_as_it_was() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        broken = msgspec.structs.replace(running.app.config, target="dies_at_import:app", env={"COLOUR": "blue"})
        with pytest.raises(StartFailed, match="nothing was changed"):
            await running.app.reload(ignore_progress, change=Change(broken))
        assert running.app.wanted.target == "asgi_probe:app"
        os.kill(running.pids[0], signal.SIGKILL)
        await running.wait_until(lambda: running.events("worker_crashed") == 1, "the crash is seen")
        await running.wait_online(2)
        await running.app.scale(3, ignore_progress)
        assert [environment_of(pid)["COLOUR"] for pid in running.pids] == ["red"] * 3
        assert running.app.details().settings["target"] == "asgi_probe:app"

    run(config(env={"COLOUR": "red"}), scenario)


def test_reload_takes_all_settings_and_keeps_them() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        after = msgspec.structs.replace(running.app.config, workers=1, env={"COLOUR": "blue"}, kill_timeout=3.0)
        changes = running.app.changes(msgspec.structs.replace(after, bind=("127.0.0.1:1",)))
        assert (changes.changed, changes.needing_start) == (["workers", "env", "bind", "kill_timeout"], ["bind"])
        await running.app.reload(ignore_progress, change=Change(after))
        await running.wait_online(1)
        assert environment_of(running.pids[0])["COLOUR"] == "blue"
        stored = json.loads(running.resources.paths.config.read_text())
        assert (stored["workers"], stored["env"]) == (1, {"COLOUR": "blue"})
        assert running.app.details().next_settings == {}

    run(config(env={"COLOUR": "red"}), scenario)


def test_settings_that_cannot_be_are_refused_before_anything_happens() -> None:
    async def scenario(running: RunningApp) -> None:
        await running.start()
        before = running.pids
        for wrong in ({"bind": ("127.0.0.1:1",)}, {"threads": 0}, {"workers": 10**6}):
            change = Change(msgspec.structs.replace(running.app.config, **wrong))
            with pytest.raises((UsageError, FastlbError)):
                await running.app.restart(ignore_progress, change)
        assert running.pids == before
        assert running.app.target_workers == 2

    run(config(), scenario)


def test_worker_of_an_older_generation_is_started_again_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload that stops half way leaves both, and each is what it was."""
    gate = tmp_path / "release"

    async def scenario(running: RunningApp) -> None:
        await running.start()

        def break_after_the_first(replaced: object) -> None:
            if running.events("worker_draining"):
                gate.write_text("dies_at_import")

        after = msgspec.structs.replace(running.app.config, env={"COLOUR": "blue"}, nice=2)
        with pytest.raises(StartFailed, match="1 of 3 workers were replaced"):
            await running.app.reload(break_after_the_first, change=Change(after))
        details = running.app.details()
        assert (details.settings["nice"], details.older_settings) == (2, {"1": {"env": {"COLOUR": "***"}, "nice": 0}})
        gate.write_text("asgi_probe")
        for pid in running.pids:
            os.kill(pid, signal.SIGKILL)
        await running.wait_until(lambda: running.events("worker_crashed") == 3, "all crashes are seen")
        await running.wait_online(3)
        assert [environment_of(pid)["COLOUR"] for pid in running.pids] == ["blue", "red", "red"]

    gate.write_text("asgi_probe")
    monkeypatch.setenv("FASTLB_TEST_RELEASE", str(gate))
    run(config("release:app", workers=3, env={"COLOUR": "red"}), scenario)
