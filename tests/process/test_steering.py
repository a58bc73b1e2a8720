"""`fastlb signal` and `fastlb attach`: what a person says to processes of a running app."""

import os
import signal
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.fastlb_process import Fastlb
from tests.support.programs import start_program, write_program
from tests.support.waiting import scaled, wait_until

NOTES = "trap 'echo $NODE_APP_INSTANCE got USR2' USR2; echo begun; while :; do read -t 0.05 line; done"
ECHOES = 'echo begun; while read line; do echo "$NODE_APP_INSTANCE: $line"; done; echo over'


def test_signal_reaches_the_handlers_of_programs(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", NOTES)
    app = start_program(fastlb, tmp_path, "worker.sh", "-w", "2")
    wait_until(lambda: app.log("out").count("begun") == 2, "both have their handlers")
    assert app.ok("signal", "usr2").stdout == "app: sent SIGUSR2 to 2 processes\n"
    wait_until(lambda: app.log("out").count("got USR2") == 2, "both have noted it")
    assert "sent SIGUSR2 to 1 process\n" in fastlb.ok("sendSignal", "12", "app", "--worker", "1").stdout
    wait_until(lambda: app.log("out").count("1 got USR2") == 2, "the second has noted it")
    assert app.log("out").count("0 got USR2") == 1
    app.ok("signal", "KILL", "--worker", "0")
    wait_until(lambda: app.entry()["restarts"] == 1, "it is started anew")


def test_signal_that_would_end_a_program_is_refused_unless_it_means_that(fastlb: Fastlb, tmp_path: Path) -> None:
    app = start_program(fastlb, tmp_path, "sleep", "--", "1000")
    pids = app.worker_pids
    refused = fastlb.cli("signal", "app", "SIGUSR1")
    assert refused.returncode == 1
    assert "SIGUSR1 was not sent: worker 0 has no handler for it, and would end" in refused.stderr
    assert app.worker_pids == pids
    app.ok("signal", "TERM")
    wait_until(lambda: app.entry()["restarts"] == 1, "it is started anew")


def test_signal_that_would_break_served_workers_is_refused(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    pids = app.worker_pids
    for name, reason in {"KILL": "would lose the requests", "STOP": "would stand still", "HUP": "no handler"}.items():
        refused = fastlb.cli("signal", "app", name)
        assert refused.returncode == 1
        assert reason in refused.stderr
    assert app.ok("signal", "winch").stdout == "app: sent SIGWINCH to 2 processes\n"
    assert app.worker_pids == pids
    unknown = fastlb.cli("signal", "app", "SIGTREM")
    assert unknown.returncode == 2
    assert "there is no signal 'SIGTREM'; did you mean SIGTERM?" in unknown.stderr
    nobody = fastlb.cli("signal", "app", "WINCH", "--worker", "7")
    assert "no worker 7 runs now" in nobody.stderr
    app.ok("stop")
    assert "app is stopped, so nobody gets it" in fastlb.cli("signal", "app", "WINCH").stderr


@pytest.mark.parametrize("leave", ["\x1d\n", ""])
def test_attached_terminal_speaks_to_a_program(fastlb: Fastlb, tmp_path: Path, leave: str) -> None:
    write_program(tmp_path / "worker.sh", ECHOES)
    app = start_program(fastlb, tmp_path, "worker.sh", "-w", "2")
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w") as typed:
        attached = fastlb.popen("attach", "app", "--worker", "1", stdin=read_end)
        os.close(read_end)
        assert attached.stderr is not None
        assert attached.stdout is not None
        assert attached.stderr.readline() == "attached to worker 1 of app; ^] or ^C leaves, and the app goes on\n"
        typed.write("hello\nyou there\n")
        typed.flush()
        assert attached.stdout.readline() == "1: hello\n"
        assert attached.stdout.readline() == "1: you there\n"
        app.ok("send", "other", "--worker", "0")
        typed.write(leave)
    output, errors = attached.communicate(timeout=scaled(10))
    assert (attached.returncode, output, errors) == (0, "", "app: left; the app goes on\n")
    assert app.entry()["restarts"] == 0


def test_attached_terminal_is_left_by_interrupt_and_by_the_end_of_the_app(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", ECHOES)
    app = start_program(fastlb, tmp_path, "worker.sh")
    first, second = (fastlb.popen("attach", "app", stdin=-1) for _ in range(2))
    for attached in (first, second):
        assert attached.stderr is not None
        assert attached.stderr.readline() == "attached to app; ^] or ^C leaves, and the app goes on\n"
    wait_until(lambda: "poll" in wait_channel(first.pid) or "select" in wait_channel(first.pid), "it waits for lines")
    first.send_signal(signal.SIGINT)
    assert first.wait(scaled(10)) == 0
    (pid,) = app.worker_pids
    assert processes.is_running(pid)
    app.ok("stop")
    assert second.wait(scaled(10)) == 0
    assert second.stderr is not None
    assert second.stderr.read() == "app: the app has ended\n"


def wait_channel(pid: int) -> str:
    """Return in which function of the kernel a process sleeps."""
    return Path(f"/proc/{pid}/wchan").read_text()


def test_served_apps_have_nothing_to_attach_to(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    refused = fastlb.cli("attach", "app")
    assert refused.returncode == 1
    assert "its workers have no standard input: `fastlb logs app --follow` shows what they write" in refused.stderr
    app.ok("stop")
    assert "app is stopped, so there is nothing to attach to" in fastlb.cli("attach", "app").stderr
