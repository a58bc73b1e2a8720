"""A supervisor that does not answer spoils nothing, and can be ended."""

import json
import signal
import subprocess

import pytest
from fastlb.supervisor.home.paths import AppPaths

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import scaled, wait_until

Process = subprocess.Popen[str]


def test_list_says_that_it_does_not_answer_and_lists_the_others(
    fastlb: Fastlb, stopped: AppPaths, stuck: Process
) -> None:
    result = fastlb.ok("list", "--json")
    statuses = {entry["name"]: entry["status"] for entry in json.loads(result.stdout)}
    assert statuses == {"shop": "stopped", "stuck": "unresponsive"}
    assert "stuck did not answer" in result.stderr


def test_kill_ends_it(fastlb: Fastlb, stuck: Process) -> None:
    result = fastlb.ok("kill")
    assert f"pid {stuck.pid}" in result.stdout
    assert stuck.wait(scaled(5)) == -signal.SIGKILL


def test_start_does_not_start_a_second_one(fastlb: Fastlb, stuck: Process) -> None:
    for target in ("stuck", "asgi_probe:app"):
        result = fastlb.cli("start", target, "--name", "stuck")
        assert result.returncode == 1
        assert "stuck is running already" in result.stderr


@pytest.mark.parametrize("stuck", ["not listening"], indirect=True)
def test_supervisor_without_its_socket_is_starting(fastlb: Fastlb, stuck: Process) -> None:
    assert fastlb.list_json()[0]["status"] == "starting"
    result = fastlb.ok("stop", "stuck")
    assert f"stopped by a signal to its supervisor (pid {stuck.pid})" in result.stdout
    assert stuck.wait(scaled(5)) == -signal.SIGTERM


def test_interrupt_ends_a_command_that_waits(fastlb: Fastlb, stuck: Process) -> None:
    waiting = fastlb.popen("stop", "stuck")
    try:
        wait_until(lambda: is_connected(waiting.pid), "the command is connected")
        waiting.send_signal(signal.SIGINT)
        printed, complaints = waiting.communicate(timeout=scaled(5))
    finally:
        waiting.kill()
        waiting.communicate()
    assert (waiting.returncode, printed, complaints.strip()) == (130, "", "stopping stuck")


@pytest.mark.parametrize("command", [["reload", "stuck"], ["stop", "stuck"]])
def test_command_does_not_wait_for_ever(fastlb: Fastlb, stuck: Process, command: list[str]) -> None:
    result = fastlb.cli(*command)
    assert result.returncode == 1
    assert "did not answer" in result.stderr
    assert str(stuck.pid) in result.stderr


def is_connected(pid: int) -> bool:
    """Whether the process waits for an answer with a time-out, as it does for nothing else."""
    with open(f"/proc/{pid}/wchan") as wchan:
        return "poll" in wchan.read()
