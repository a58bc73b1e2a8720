"""Fork mode with `--bind`: the listening sockets are ours, and are passed as systemd passes them (sd_listen_fds(3))."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.client import Connection, get
from tests.support.fastlb_process import APPS, Fastlb
from tests.support.load_plan import Address, Plan
from tests.support.load_process import LoadProcess
from tests.support.programs import start_program, write_program
from tests.support.waiting import wait_until

BIN = Path(sys.executable).parent
SLEEPS = "sleep 1000 & wait"
# gunicorn looks for LISTEN_FDS by itself, uvicorn is told the number.
SERVERS = [
    pytest.param(("gunicorn", "--", "-w", "2", "--threads", "4", "wsgi_probe:app"), id="gunicorn"),
    pytest.param(("uvicorn", "--", "--fd", "3", "--log-level", "warning", "asgi_probe:app"), id="uvicorn"),
]


@pytest.mark.parametrize("server", SERVERS)
def test_no_connection_is_refused_while_servers_are_replaced(fastlb: Fastlb, server: tuple[str, ...]) -> None:
    fastlb.env["PATH"] = f"{BIN}:{fastlb.env['PATH']}"
    options = ("--fork", "--bind", "127.0.0.1:0", "-w", "2", "--settle", "1s")
    app = start_program(fastlb, APPS, *options, *server)
    before = app.worker_pids
    with LoadProcess(Plan(address=app.address)) as load:
        load.wait_for(200)
        for _ in range(2):
            text = app.ok("reload").stdout
            load.wait_for(200)
    assert "clients were not kept" not in text
    assert load.report.refused == 0, load.report.summary()
    assert load.report.timeout == 0, load.report.summary()
    assert load.report.ok > 500, load.report.summary()
    assert not set(before) & set(app.worker_pids)
    steps = app.log("supervisor").partition("reload_begun")[2].split()
    assert steps.index("worker_admitted") < steps.index("worker_draining"), "the new one comes first"


def test_connections_wait_while_a_process_is_started_anew(fastlb: Fastlb) -> None:
    fastlb.env["PATH"] = f"{BIN}:{fastlb.env['PATH']}"
    options = ("--fork", "--bind", "127.0.0.1:0", "--settle", "0.2", "uvicorn")
    app = start_program(fastlb, APPS, *options, "--", "--fd", "3", "asgi_probe:app")
    app.ok("restart")
    assert get(app.address, timeout=20).status == 200


# Of another address: a port of 127.0.0.1 may be a client's when the app opens it again.
@pytest.mark.parametrize("bind", ["127.0.0.9:0", "unix:{}/app.sock"])
def test_clients_are_refused_while_no_process_is_left(fastlb: Fastlb, bind: str) -> None:
    fastlb.env["PATH"] = f"{BIN}:{fastlb.env['PATH']}"
    no_restarts = ("--max-restarts", "1", "--min-uptime", "60")
    options = ("--fork", "--bind", bind.format(fastlb.directory), "--settle", "0.5", *no_restarts, "uvicorn")
    app = start_program(fastlb, APPS, *options, "--", "--fd", "3", "asgi_probe:app")
    assert get(app.address, timeout=20).status == 200
    os.kill(app.worker_pids[0], signal.SIGKILL)
    wait_until(lambda: is_refused(app.address), "clients are refused")
    app.ok("restart")
    assert get(app.address, timeout=20).status == 200


def is_refused(address: Address) -> bool:
    """Whether nobody listens there."""
    try:
        Connection(address, timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_program_is_told_of_its_sockets_and_of_nothing_else(fastlb: Fastlb, tmp_path: Path) -> None:
    fastlb.allow_in_logs("BUG")  # what a variable of this machine may be called
    fastlb.env = {name: value for name, value in fastlb.env.items() if not name.startswith(("LC_", "LANG"))}
    fastlb.env |= {"odd.name": "kept", "PYTHONCOERCECLOCALE": "0"}  # the latter is for the command and the supervisor
    tells = (
        "import os, sys; print(os.getpid() == int(os.environ['LISTEN_PID']), os.environ['LISTEN_FDS'],",
        "os.environ['LISTEN_FDNAMES'], [os.get_blocking(fd) for fd in (3, 4)], os.environ.get('odd.name'),",
        "sys.argv[1:], flush=True)",
        "import signal; signal.pause()",
    )
    (tmp_path / "worker.py").write_text(" ".join(tells[:3]) + "\n" + tells[3])
    write_program(tmp_path / "worker.sh", f'exec {sys.executable} worker.py "$@"')
    options = ("--fork", "--bind", "127.0.0.1:0", "--bind", f"unix:{tmp_path}/a.sock", "worker.sh")
    app = start_program(fastlb, tmp_path, *options, "--", "-x", "y z")
    wait_until(lambda: app.log("out"), "it has written")
    names = f"127.0.0.1-0:unix-{tmp_path}/a.sock"
    assert app.log("out") == f"True 2 {names} [True, True] kept ['-x', 'y z']\n"
    (pid,) = app.worker_pids
    assert sorted(processes.inherited_fds(pid)) == [3, 4]
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert not [pair for pair in environment if pair.startswith(b"LC_")]


def test_signals_are_as_every_program_expects_them(fastlb: Fastlb, tmp_path: Path) -> None:
    app = start_program(fastlb, tmp_path, "--fork", "--bind", "127.0.0.1:0", "sleep", "--", "1000")
    (pid,) = app.worker_pids
    wait_until(lambda: processes.command_line(pid) == [shutil.which("sleep"), "1000"], "it has become the program")
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigIgn", "SigBlk"))]
    assert [mask & 0x7FFFFFFF for mask in masks] == [0, 0]


def test_app_and_its_sockets_are_said(fastlb: Fastlb) -> None:
    result = fastlb.ok("start", "--fork", "--bind", "127.0.0.1:0", "-w", "2", "sleep", "--", "1000")
    (bind,) = fastlb.app("sleep").binds
    assert f"sleep runs in fork mode: 2 processes, which share {bind}\n" in result.stdout
