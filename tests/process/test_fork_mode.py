"""Any program as processes of their own: start, crash, stop, what a process is given."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.fastlb_process import App, Fastlb, describe
from tests.support.programs import start_program, try_program, write_program
from tests.support.waiting import scaled, wait_until

ALL_BUT_REALTIME = (1 << 31) - 1  # the C library has uses of its own for some of the others
SLEEPS = "sleep 1000 & wait"


def out_lines(app: App, count: int) -> list[str]:
    """The first lines of the app's output, sorted, once there are so many."""
    return sorted(wait_until(lambda: (lines := app.log("out").splitlines())[: len(lines) >= count and count], "output"))


def test_program_runs_as_so_many_processes_with_numbers_and_arguments(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", 'echo "$NODE_APP_INSTANCE $PORT $1 $2 $PWD"', SLEEPS)
    options = ("--fork", "./worker.sh", "-w", "2", "--increment-var", "PORT", "--env", "PORT=3000")
    app = start_program(fastlb, tmp_path, *options, "--", "a", "b c")
    assert out_lines(app, 2) == [f"0 3000 a b c {tmp_path}", f"1 3001 a b c {tmp_path}"]
    entry = app.entry()
    assert (entry["status"], entry["mode"], entry["balance"], entry["binds"]) == ("online", "fork", "", [])
    ours = {app.supervisor_pid, *app.worker_pids}

    def others_sleep() -> bool:
        return all(processes.command_line(pid)[:1] == ["sleep"] for pid in set(fastlb.pids) - ours)

    wait_until(others_sleep, "there is no dispatcher")
    assert [os.getpgid(pid) for pid in app.worker_pids] == app.worker_pids


def test_list_shows_the_mode(fastlb: Fastlb, tmp_path: Path) -> None:
    started = try_program(fastlb, tmp_path, "--fork", "sleep", "-w", "2", "--", "1000")
    assert "app runs in fork mode: 2 processes\n" in started.stdout
    for view in ("--apps", "--instances"):
        header, *rows = (line.split() for line in fastlb.ok("list", view).stdout.splitlines())
        assert {row[header.index("mode")] for row in rows} == {"fork"}


def test_process_that_crashes_comes_back_with_its_number(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", 'echo "$PORT"', SLEEPS)
    options = ("--fork", "worker.sh", "-w", "2", "--increment-var", "PORT", "--env", "PORT=3000")
    app = start_program(fastlb, tmp_path, *options)
    first, second = app.worker_pids
    out_lines(app, 2)
    os.kill(second, signal.SIGKILL)
    wait_until(lambda: app.log("supervisor").count("worker_crashed") == 1, "the crash is seen")
    app.wait_online(2)
    assert app.worker_pids[0] == first
    assert app.worker_pids[1] != second
    assert out_lines(app, 3) == ["3000", "3001", "3001"]
    assert "killed by SIGKILL" in app.log("supervisor")


def test_processes_that_crash_again_and_again_are_given_up(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "echo begun", "sleep 0.8", "exit 3")
    app = start_program(fastlb, tmp_path, "--fork", "worker.sh", "--max-restarts", "3", "--min-uptime", "60")
    wait_until(lambda: app.entry()["status"] == "errored", "it is given up", timeout=20)
    assert app.log("out") == "begun\n" * 3


def test_process_that_ends_at_once_has_not_started(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "echo no database >&2", "exit 3")
    result = try_program(fastlb, tmp_path, "--fork", "worker.sh", "--settle", "30")
    assert result.returncode == 1
    assert "worker 0 did not start: exited with code 3\nno database" in result.stderr
    assert fastlb.pids == []


@pytest.mark.parametrize("word", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_stop_is_the_signal_that_was_chosen_at_once(fastlb: Fastlb, tmp_path: Path, word: str) -> None:
    traps = [f"trap 'echo {name}; exit 0' {name}" for name in ("SIGTERM", "SIGINT", "SIGQUIT")]
    write_program(tmp_path / "worker.sh", *traps, "echo begun", SLEEPS)
    app = start_program(fastlb, tmp_path, "--fork", "worker.sh", "--kill-signal", word, "--kill-timeout", "60s")
    out_lines(app, 1)
    app.ok("stop", timeout=20)
    assert app.log("out").splitlines() == ["begun", word]


def test_group_of_a_process_that_goes_on_is_killed_after_kill_timeout(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "trap 'echo asked' TERM", "echo begun", "while :; do sleep 0.05; done")
    timeout = scaled(1.0)
    app = start_program(fastlb, tmp_path, "--fork", "worker.sh", "--kill-timeout", f"{timeout}s")
    out_lines(app, 1)
    begun = time.monotonic()
    app.ok("stop")
    assert time.monotonic() - begun >= timeout
    assert app.log("out").splitlines() == ["begun", "asked"], "it is asked once"
    assert "worker_killed" in app.log("supervisor")
    assert fastlb.pids == []


def test_process_that_is_not_ready_yet_is_stopped_as_patiently(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "trap 'sleep 1.5; echo cleaned; exit 0' TERM", "echo begun", SLEEPS)
    options = ("--fork", "worker.sh", "--settle", "100s", "--kill-timeout", "60s")
    starting = fastlb.popen("start", "--name", "app", *options, cwd=tmp_path)
    wait_until(lambda: fastlb.app().log("out"), "it has begun")
    fastlb.app().ok("stop")
    starting.communicate(timeout=scaled(10))
    assert fastlb.app().log("out").splitlines() == ["begun", "cleaned"]


def test_process_has_no_descriptor_and_no_variable_of_ours(fastlb: Fastlb, tmp_path: Path) -> None:
    fastlb.allow_in_logs("BUG")  # what a variable of this machine may be called
    fastlb.env |= {"NODE_CHANNEL_FD": "3", "LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "x"}
    write_program(tmp_path / "worker.sh", "env | cut -d= -f1", SLEEPS)
    app = start_program(fastlb, tmp_path, "--fork", "worker.sh", "--env", "MINE=1")
    (pid,) = app.worker_pids
    wait_until(lambda: "MINE" in app.log("out"), "it has printed its variables")
    assert processes.inherited_fds(pid).keys() <= {255}, "bash has the script itself at 255"
    names = set(app.log("out").split())
    added = names - set(fastlb.env) - {"MINE", "_", "SHLVL", "PWD", "OLDPWD"}
    ours = {"FASTLB_WORKER_ID", "FASTLB_PROCESS", "NOTIFY_SOCKET", "WATCHDOG_USEC"}
    assert added == {"NODE_APP_INSTANCE", *ours}
    assert not names & {"NODE_CHANNEL_FD", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}


def test_signals_of_a_process_are_as_every_program_expects_them(fastlb: Fastlb, tmp_path: Path) -> None:
    app = start_program(fastlb, tmp_path, "--fork", "sleep", "--", "1000")
    (pid,) = app.worker_pids
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigIgn", "SigBlk"))]
    assert [mask & ALL_BUT_REALTIME for mask in masks] == [0, 0]


def test_standard_input_stays_open(fastlb: Fastlb, tmp_path: Path) -> None:
    app = start_program(fastlb, tmp_path, "--fork", "cat")
    assert app.entry()["restarts"] == 0
    app.wait_online(1)


def test_program_is_named_by_its_file_and_knows_its_directory(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    write_program(tmp_path / "elsewhere" / "job.sh", 'echo "$PWD"', SLEEPS)
    fastlb.ok("start", "--fork", "./job.sh", "--cwd", str(tmp_path / "elsewhere"), "--settle", "0.1")
    assert out_lines(fastlb.app("job"), 1) == [str(tmp_path / "elsewhere")]


def test_foreground_program_writes_to_the_terminal_and_ends_with_it(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "trap 'echo bye; exit 0' TERM", "echo begun", SLEEPS)
    running = fastlb.popen("run", "--fork", "worker.sh", "--settle", "0.1", cwd=tmp_path)
    assert running.stdout
    assert running.stdout.readline() == "begun\n"
    wait_until(lambda: fastlb.app("worker").entry()["status"] == "online", "it has started")
    running.send_signal(signal.SIGTERM)
    out, errors = running.communicate(timeout=scaled(20))
    assert (running.returncode, out) == (0, "bye\n"), errors


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--balance", "ip-hash"),
        ("--credit", "4"),
        ("--max-connections", "100"),
        ("--handover-timeout", "10ms"),
        ("--threads", "4"),
    ],
)
def test_setting_without_meaning_is_refused(fastlb: Fastlb, tmp_path: Path, option: str, value: str) -> None:
    result = try_program(fastlb, tmp_path, "--fork", "sleep", option, value, "--", "1000")
    assert result.returncode == 2, describe(result)
    assert option in result.stderr
    assert "is a fork-mode app: leave it out" in result.stderr
    assert fastlb.pids == []


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("./wroker.sh", "did you mean ./worker.sh?"),
        ("no-such-program", "no program of that name on PATH"),
        ("data.txt", "`chmod +x data.txt`, or say by --interpreter what runs it"),
        ("app.json", "app.json cannot be read: No such file"),
        ("ecosystem.config.js", "cannot be read: No such file"),
        ("main.go", "is source code: build it (go build)"),
        ("", "is no program"),
    ],
)
def test_program_that_cannot_be_is_refused(fastlb: Fastlb, tmp_path: Path, target: str, reason: str) -> None:
    write_program(tmp_path / "worker.sh", SLEEPS)
    (tmp_path / "data.txt").write_text("")
    result = try_program(fastlb, tmp_path, "--fork", target)
    assert result.returncode == 2, describe(result)
    assert reason in result.stderr
    assert fastlb.list_json() == []


def test_file_that_is_no_program_is_said(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "nothing").write_text("just text\n")
    (tmp_path / "nothing").chmod(0o755)
    result = try_program(fastlb, tmp_path, "--fork", "./nothing", "--settle", "20")
    assert result.returncode == 1
    assert "begins with no #! line: say by --interpreter what runs it" in result.stderr


@pytest.mark.parametrize("options", [(), ("--bind", "127.0.0.1:0")])
def test_processes_do_not_outlive_their_supervisor(fastlb: Fastlb, tmp_path: Path, options: tuple[str, ...]) -> None:
    fastlb.allow_left_sockets()
    told = tmp_path / "told"
    write_program(tmp_path / "worker.sh", f"trap 'echo > {told}; exit' INT", "echo begun", "while :; do :; done")
    app = start_program(fastlb, tmp_path, "worker.sh", "-w", "2", "--kill-signal", "SIGINT", *options)
    out_lines(app, 2)
    os.kill(app.supervisor_pid, signal.SIGKILL)
    wait_until(lambda: fastlb.pids == [], "all have ended")
    assert told.exists()
    start_program(fastlb, tmp_path, "worker.sh", "--kill-signal", "SIGINT")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start processes as somebody else")
def test_processes_of_another_user_do_not_outlive_it_either(fastlb: Fastlb, tmp_path: Path) -> None:
    fastlb.allow_left_sockets()
    app = start_program(fastlb, tmp_path, "--fork", "--uid", "4711", "--cwd", "/", "sleep", "--", "1000")
    (pid,) = app.worker_pids
    assert Path(f"/proc/{pid}").stat().st_uid == 4711
    os.kill(app.supervisor_pid, signal.SIGKILL)
    wait_until(lambda: not processes.is_running(pid), "it has ended")
