"""Signals to `fastlb run`, and to the command, before the app has started: none is lost, and none is a traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.fastlb_process import APPS, Fastlb
from tests.support.waiting import scaled, wait_until

OPTIONS = ("--name", "app", "--bind", "127.0.0.1:0")
# The command, which gets the signal at the import of a module: the first of them that takes time.
INTERRUPTED_IMPORT = """
import os, sys
number = int(sys.argv.pop(1))
class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), number)
sys.meta_path.insert(0, Interrupter())
from fastlb.cli.entry import main
sys.exit(main())
"""


def is_supervisor(pid: int) -> bool:
    return "fastlb.supervisor" in processes.command_line(pid)


def status_line(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(name + ":"))


def interrupted_import(fastlb: Fastlb, number: int, *command: str) -> "subprocess.CompletedProcess[str]":
    arguments = [sys.executable, "-c", INTERRUPTED_IMPORT, str(int(number)), *command]
    return subprocess.run(
        arguments, env=fastlb.env, cwd=APPS, capture_output=True, text=True, timeout=scaled(30), check=False
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_signal_to_a_supervisor_that_is_not_even_python_yet_ends_it_in_order(fastlb: Fastlb, number: int) -> None:
    process = fastlb.popen("run", "asgi_probe:app", *OPTIONS)
    # From the very moment of the exec.
    wait_until(lambda: is_supervisor(process.pid), "it is the supervisor")
    process.send_signal(number)
    output, errors = process.communicate(timeout=scaled(20))
    assert (process.returncode, output) == (0, "")
    assert "fastlb | stopped before it had started" in errors
    assert "Traceback" not in errors
    assert "error:" not in errors
    assert not (fastlb.home / "apps" / "app").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_the_app_is_imported_ends_it_in_order(fastlb: Fastlb, number: int) -> None:
    process = fastlb.popen("run", "never_ready:app", *OPTIONS, "--kill-timeout", "0.1")
    wait_until(lambda: processes.descendants(process.pid), "a process was started")
    process.send_signal(number)
    _, errors = process.communicate(timeout=scaled(20))
    assert process.returncode == 0, errors
    assert "stopped before it had started" in errors


def test_interrupt_while_the_command_is_imported_ends_it_without_a_word(fastlb: Fastlb) -> None:
    result = interrupted_import(fastlb, signal.SIGINT, "list")
    assert (result.returncode, result.stdout, result.stderr) == (-signal.SIGINT, "", "")


def test_interrupt_that_is_ignored_stays_ignored(fastlb: Fastlb) -> None:
    ignoring = "import os, signal, sys; signal.signal(2, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", ignoring, sys.executable, "-c", INTERRUPTED_IMPORT, "2", "list"]
    result = subprocess.run(command, env=fastlb.env, capture_output=True, text=True, timeout=scaled(30), check=False)
    assert result.returncode == 0, result.stderr


def test_term_to_run_while_the_command_is_imported_is_heard_by_the_supervisor(fastlb: Fastlb) -> None:
    result = interrupted_import(fastlb, signal.SIGTERM, "run", "asgi_probe:app", *OPTIONS)
    assert result.returncode == 0, result.stderr
    assert "stopped before it had started" in result.stderr


def test_term_to_another_command_ends_it(fastlb: Fastlb) -> None:
    assert interrupted_import(fastlb, signal.SIGTERM, "logs", "run").returncode == -signal.SIGTERM


def test_no_process_of_an_app_is_started_with_held_signals(fastlb: Fastlb) -> None:
    process = fastlb.popen("run", "asgi_probe:app", *OPTIONS)
    wait_until(lambda: [e for e in fastlb.list_json() if e["status"] == "online"], "it is online", 20)
    blocked = {pid: status_line(pid, "SigBlk") for pid in [process.pid, *processes.descendants(process.pid)]}
    assert set(blocked.values()) == {"0" * 16}, blocked
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=scaled(20))


def test_many_signals_leave_no_traceback(fastlb: Fastlb) -> None:
    process = fastlb.popen("run", "asgi_probe:app", *OPTIONS)
    wait_until(lambda: [e for e in fastlb.list_json() if e["status"] == "online"], "it is online", 20)
    while process.poll() is None:  # until its very end
        os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=scaled(20))
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
