"""Programs that come to an end: `--no-autorestart`, `--stop-exit-codes`, and what `start` and `run` make of it."""

from pathlib import Path

import pytest

from tests.support.fastlb_process import App, Fastlb, describe
from tests.support.programs import start_program, try_program, write_program
from tests.support.waiting import scaled, wait_until

JOB = ("--no-autorestart", "worker.sh")
QUICK = ("--settle", "0.2")
AT_ONCE = ("--settle", "30")  # on a busy machine a program needs a while to come to its end


def statuses(app: App) -> tuple[str, list[str]]:
    entry = app.entry()
    return entry["status"], [worker["status"] for worker in entry["workers"]]


def test_job_that_ends_within_its_start_has_finished(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "echo worked")
    result = try_program(fastlb, tmp_path, *AT_ONCE, *JOB, "-w", "2")
    assert result.returncode == 0, describe(result)
    assert "app has finished" in result.stdout
    assert statuses(fastlb.app()) == ("finished", ["finished", "finished"])
    assert fastlb.app().log("out") == "worked\n" * 2


def test_job_that_ends_later_has_finished(fastlb: Fastlb, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    write_program(tmp_path / "worker.sh", f"until [ -e {gate} ]; do sleep 0.01; done")
    app = start_program(fastlb, tmp_path, *JOB)
    assert statuses(app) == ("online", ["online"])
    gate.touch()
    wait_until(lambda: statuses(app) == ("finished", ["finished"]), "it has finished")
    assert app.log("supervisor").count("worker_started") == 1


@pytest.mark.parametrize("command", ["restart", "reload"])
def test_finished_job_is_done_once_more_on_demand(fastlb: Fastlb, tmp_path: Path, command: str) -> None:
    write_program(tmp_path / "worker.sh", "echo worked")
    app = start_program(fastlb, tmp_path, *JOB)
    app.ok(command)
    wait_until(lambda: app.log("out") == "worked\n" * 2, "it has worked twice")
    wait_until(lambda: statuses(app) == ("finished", ["finished"]), "it has finished")
    app.ok("stop")


def test_job_that_fails_at_once_has_not_started(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "echo no input >&2", "exit 7")
    result = try_program(fastlb, tmp_path, *AT_ONCE, *JOB)
    assert result.returncode == 1
    assert "exited with code 7\nno input" in result.stderr
    assert fastlb.list_json() == []


def test_job_that_fails_later_stays_down(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "sleep 1", "exit 7")
    app = start_program(fastlb, tmp_path, *JOB)
    wait_until(lambda: statuses(app) == ("errored", ["errored"]), "it has failed")
    assert app.log("supervisor").count("worker_started") == 1
    assert app.show()["last_error"] == "exited with code 7"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("exit 0",), 0),
        (("exit 7",), 7),
        (("sleep 0.5", "exit 0"), 0),
        (("sleep 0.5", "exit 7"), 7),
        (("sleep 0.5", "kill -KILL $$"), 137),
    ],
)
def test_job_in_the_foreground_ends_with_its_code(
    fastlb: Fastlb, tmp_path: Path, lines: tuple[str, ...], code: int
) -> None:
    write_program(tmp_path / "worker.sh", "echo worked", *lines)
    result = fastlb.cli("run", *JOB, *QUICK, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (code, "worked\n"), describe(result)


def test_code_of_several_jobs_is_that_of_the_first_that_failed(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "sleep 0.5", "exit $NODE_APP_INSTANCE")
    result = fastlb.cli("run", *JOB, *QUICK, "-w", "3", cwd=tmp_path)
    assert result.returncode == 1, describe(result)


def test_chosen_exit_codes_end_a_program_that_is_restarted_otherwise(fastlb: Fastlb, tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("")
    write_program(tmp_path / "worker.sh", f"echo >> {count}", "sleep 0.8", f"exit $(wc -l < {count})")
    options = ("--stop-exit-codes", "3", "--stop-exit-codes", "4", "--restart-delay", "10ms", *QUICK)
    result = fastlb.cli("run", "worker.sh", *options, cwd=tmp_path, timeout=scaled(30))
    assert result.returncode == 3, describe(result)
    assert count.read_text() == "\n" * 3


def test_server_that_exits_by_itself_has_failed(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "exit 0")
    result = try_program(fastlb, tmp_path, *AT_ONCE, "worker.sh")
    assert result.returncode == 1
    assert "exited with code 0: if that is its work, --no-autorestart makes it a job" in result.stderr


def test_job_that_is_stopped_has_not_failed(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "sleep 1000")
    app = start_program(fastlb, tmp_path, *JOB)
    app.ok("stop")
    assert app.entry()["status"] == "stopped"


def test_exit_code_that_cannot_be_is_refused(fastlb: Fastlb, tmp_path: Path) -> None:
    result = try_program(fastlb, tmp_path, "--stop-exit-codes", "256", "sleep", "--", "1000")
    assert result.returncode == 2
    assert "--stop-exit-codes: 256 is too large" in result.stderr


def test_workers_of_a_served_app_may_end_as_well(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2", "--no-autorestart")
    first, _ = app.worker_pids
    fastlb.run_program("kill", "-KILL", str(first))
    wait_until(lambda: statuses(app) == ("degraded", ["errored", "online"]), "it stays down")
    assert app.get().status == 200
