"""`cron_restart` of real apps: who asks, what is done, and that no request is lost."""

from pathlib import Path

import pytest

from tests.support.fastlb_process import Fastlb
from tests.support.programs import QUICK, start_program, write_program
from tests.support.waiting import wait_until

EVERY_SECOND = "* * * * * *"


def test_workers_are_replaced_by_a_reload_and_show_tells_when_next(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "-w", "2", "--cron-restart", EVERY_SECOND, "--cron-timezone", "Asia/Tokyo")
    first = app.worker_pids

    def are_replaced() -> bool:
        assert app.get().status == 200
        workers = app.entry()["workers"]
        return all(worker["generation"] > 1 for worker in workers)

    wait_until(are_replaced, "all workers are of a later generation", timeout=15)
    assert not set(first) & set(app.worker_pids)
    assert app.entry()["cron_next_at"].endswith("+09:00")
    assert "next by cron" in fastlb.ok("show", "app").stdout
    assert "reload_asked by=cron_restart" in app.log("supervisor")
    assert "+09:00" in fastlb.ok("jlist").stdout
    fastlb.ok("set", "app", "cron_restart=0")
    app.ok("reload")
    wait_until(lambda: app.entry()["cron_next_at"] == "", "there is no next time")


def test_finished_job_is_started_again(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "job.sh", "echo worked")
    app = start_program(fastlb, tmp_path, "--no-autorestart", "--cron", EVERY_SECOND, "job.sh")
    wait_until(lambda: app.log("out").count("worked") >= 3, "it has worked three times", timeout=15)


def test_run_goes_on_with_a_finished_job_that_has_a_schedule(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "job.sh", f"echo >> {tmp_path}/done")
    running = fastlb.popen("run", "--no-autorestart", "-c", EVERY_SECOND, *QUICK, "job.sh", cwd=tmp_path)
    done = tmp_path / "done"
    wait_until(lambda: done.exists() and done.read_text().count("\n") >= 2, "it has worked twice", timeout=15)
    running.terminate()
    running.communicate()
    assert running.returncode == 0


@pytest.mark.parametrize("pattern", ["61 * * * *", "* * *"])
def test_bad_pattern_of_a_file_is_refused_with_its_place(fastlb: Fastlb, tmp_path: Path, pattern: str) -> None:
    (tmp_path / "fastlb.toml").write_text(f'[apps.shop]\ntarget = "sleep"\ncron_restart = "{pattern}"\n')
    for command in ("check", "start"):
        result = fastlb.cli(command, "fastlb.toml", cwd=tmp_path)
        assert result.returncode == 2
        assert "fastlb.toml:3:1: cron_restart" in result.stderr
        assert "no cron pattern" in result.stderr
