"""`fastlb send`: a line for the standard input of programs in fork mode."""

import os
from pathlib import Path

import pytest

from tests.support.fastlb_process import Fastlb
from tests.support.programs import start_program, write_program
from tests.support.waiting import wait_until

ECHOES = 'while IFS= read -r line; do echo "$NODE_APP_INSTANCE got $line"; done; echo over'


def test_line_reaches_every_process_as_it_is(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", ECHOES)
    app = start_program(fastlb, tmp_path, "worker.sh", "-w", "2")
    assert "sent to 2 workers" in app.ok("send", "say  'hëllo' \\n").stdout
    wait_until(lambda: app.log("out").count("\n") == 2, "both have read it")
    assert sorted(app.log("out").splitlines()) == [f"{number} got say  'hëllo' \\n" for number in (0, 1)]
    app.ok("send", "", "--worker", "1")
    wait_until(lambda: "1 got \n" in app.log("out"), "the second has read it")
    assert "0 got \n" not in app.log("out")


def test_process_that_came_back_is_sent_lines(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", ECHOES)
    app = start_program(fastlb, tmp_path, "worker.sh")
    os.kill(app.worker_pids[0], 9)
    wait_until(lambda: app.entry()["restarts"] == 1, "it is started anew")
    app.wait_online(1)
    app.ok("send", "again")
    wait_until(lambda: app.log("out") == "0 got again\n", "it has read it")


@pytest.mark.parametrize(
    ("lines", "words", "message"),
    [
        (("sleep 1000",), ("x" * 4096,), "worker 0 cannot be sent so long a line: at most 4096 bytes"),
        (("sleep 1000",), ("a\nb",), "give one line"),
        (("sleep 1000",), ("x", "--worker", "7"), "no worker 7 runs now"),
        (("exec 0<&-", "echo closed", "sleep 1000"), ("x",), "worker 0 has closed its standard input"),
    ],
)
def test_line_that_cannot_be_sent_is_said(
    fastlb: Fastlb, tmp_path: Path, lines: tuple[str, ...], words: tuple[str, ...], message: str
) -> None:
    write_program(tmp_path / "worker.sh", *lines[:-1], f"exec {lines[-1]}")
    app = start_program(fastlb, tmp_path, "worker.sh")
    wait_until(lambda: "echo closed" not in lines or app.log("out") == "closed\n", "its standard input is closed")
    result = fastlb.cli("send", "app", *words)
    assert result.returncode != 0
    assert message in result.stderr
    assert app.worker_pids


def test_process_that_does_not_read_costs_nobody_anything(fastlb: Fastlb, tmp_path: Path) -> None:
    app = start_program(fastlb, tmp_path, "sleep", "--", "1000")
    results = [fastlb.cli("send", "app", "x" * 4000) for _ in range(18)]
    assert results[0].returncode == 0
    assert results[-1].returncode == 1
    assert "worker 0 does not read its standard input, which is full" in results[-1].stderr
    assert app.entry()["status"] == "online"


def test_served_apps_have_no_standard_input(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app")
    result = fastlb.cli("send", "app", "x")
    assert result.returncode == 1
    assert "worker 0 has no standard input: only programs in fork mode have one" in result.stderr


def test_stopped_app_is_sent_nothing(fastlb: Fastlb, tmp_path: Path) -> None:
    app = start_program(fastlb, tmp_path, "sleep", "--", "1000")
    app.ok("stop")
    result = fastlb.cli("send", "app", "x")
    assert result.returncode == 1
    assert "app is stopped, so nobody reads" in result.stderr
