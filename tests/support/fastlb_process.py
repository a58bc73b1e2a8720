"""Owns the driver of a real installation: the `fastlb` command in a home of its own, and what it leaves.

Runs in the test (or trial) process. `close()` stops everything and raises when something is left: a process,
a socket file, a traceback in a log. It looks from outside only: command line, control socket, listeners, /proc and
log files.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from fastlb.supervisor.control.client import ControlClient
from fastlb.supervisor.errors import FastlbError

from . import processes
from .client import Response, get
from .load_plan import Address
from .waiting import scaled, wait_until

APPS = Path(__file__).resolve().parent / "apps"
COMMAND = Path(sys.executable).parent / "fastlb"
RUN_MARK = "FASTLB_TEST_RUN"
CRASHES = ("Traceback", "BUG", "Fatal Python error", "Segmentation fault", "core dumped")
NOT_IN_LOGS = (*CRASHES, "never awaited", "ResourceWarning")

CliResult = subprocess.CompletedProcess[str]


class Fastlb:
    """One FASTLB_HOME and everything that runs from it.

    Args:
        env: variables for every command of it, and so for its workers.
    """

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        # Not pytest's tmp_path: the path of a unix socket has at most 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="fastlb-"))
        self.home = self.directory / "home"
        self.ledger = self.directory / "ledger"
        self.ledger.mkdir()
        self.mark = uuid.uuid4().hex
        own = {"FASTLB_HOME": str(self.home), RUN_MARK: self.mark, "FASTLB_TEST_LEDGER": str(self.ledger)}
        self.env = {**os.environ, **own, "NO_COLOR": "1", **(env or {})}
        self._started: list[subprocess.Popen[str]] = []
        self._allowed_in_logs: set[str] = set()
        self._may_leave_sockets = False

    # Commands

    def cli(self, *args: str, timeout: float = 60.0, cwd: Path | None = None) -> CliResult:
        """Run `fastlb ARGS` to its end, whatever its exit code."""
        command = [str(COMMAND), *args]
        options: dict[str, Any] = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
        result = subprocess.run(command, env=self.env, cwd=cwd or APPS, timeout=scaled(timeout), **options)
        assert "ResourceWarning" not in result.stderr, result.stderr
        return result

    def popen(self, *args: str, **options: Any) -> subprocess.Popen[str]:
        """Start `fastlb ARGS` and return at once; the caller waits for it."""
        usual: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        usual |= {"env": self.env, "cwd": APPS}
        return self.popen_program(str(COMMAND), *args, **(usual | options))

    def popen_program(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start a program that speaks to it and return at once; the caller waits for it."""
        usual: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True, "env": self.env, "cwd": APPS}
        self._started.append(subprocess.Popen(command, **(usual | options)))
        return self._started[-1]

    def run_program(self, *command: str, timeout: float = 60.0) -> CliResult:
        """Run a program that runs `fastlb` in its turn, which must succeed."""
        options: dict[str, Any] = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
        result = subprocess.run(command, env=self.env, cwd=APPS, timeout=scaled(timeout), **options)
        assert result.returncode == 0, f"{command}: {describe(result)}\n{self.logs_text()}"
        return result

    def ok(self, *args: str, timeout: float = 60.0) -> CliResult:
        """Run `fastlb ARGS`, which must succeed."""
        result = self.cli(*args, timeout=timeout)
        assert result.returncode == 0, f"fastlb {' '.join(args)}: {describe(result)}\n{self.logs_text()}"
        return result

    def try_start(self, target: str, *options: str, name: str = "app", timeout: float = 60.0) -> CliResult:
        """Start an app on a free port (unless `--bind` is given), whatever comes of it; it settles quickly."""
        bind = () if {"--bind", "-b"} & set(options) else ("--bind", "127.0.0.1:0")
        settle = () if {"--settle", "--no-wait"} & set(options) else ("--settle", "0.1")
        return self.cli("start", target, "--name", name, *bind, *settle, *options, timeout=timeout)

    def start(self, target: str = "asgi_probe:app", *options: str, name: str = "app") -> "App":
        """Start an app, which must succeed."""
        result = self.try_start(target, *options, name=name)
        assert result.returncode == 0, f"start {target}: {describe(result)}\n{self.logs_text()}"
        return App(self, name)

    def list_json(self) -> list[dict[str, Any]]:
        """Return what `list --json` says."""
        return list(json.loads(self.ok("list", "--json").stdout))

    def app(self, name: str = "app") -> "App":
        """Return the driver of an app that was started in another way."""
        return App(self, name)

    # What is left behind

    @property
    def pids(self) -> list[int]:
        """All processes of this installation, orphans too."""
        return processes.with_environment(RUN_MARK, self.mark)

    def logs_text(self, last_bytes: int = 8000) -> str:
        """Return the end of every log file, for messages."""
        ends = {path.name: path.read_text(errors="replace")[-last_bytes:] for path in self._log_files()}
        return "".join(f"--- {name}\n{end}\n" for name, end in ends.items())

    def allow_in_logs(self, *words: str) -> None:
        """Say that these words (of NOT_IN_LOGS) are what this test provokes."""
        self._allowed_in_logs.update(words)

    def allow_left_sockets(self) -> None:
        """Say that this test kills a supervisor, which cannot remove its socket file then."""
        self._may_leave_sockets = True

    def requests_begun_and_ended(self) -> tuple[int, int]:
        """Return what the ledgers of all workers say together (see apps/ledger.py)."""
        text = "".join(path.read_text() for path in self.ledger.iterdir())
        return text.count("+"), text.count("-")

    def close(self, check: bool = True) -> None:
        """Stop everything and remove the home.

        Raises:
            AssertionError: (with `check`) something was left, or a log shows a fault.
        """
        try:
            problems = self._stop_everything() + self._faults_in_logs()
            assert not check or not problems, "\n".join([*problems, self.logs_text()])
        finally:
            self._end_started()
            shutil.rmtree(self.directory, ignore_errors=True)

    def _end_started(self) -> None:
        """A test that failed has not waited for its commands; the next one shall not find them."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            with process:
                process.wait()

    def _stop_everything(self) -> list[str]:
        problems = []
        if self.pids or any(self.home.glob("apps/*")):
            stopping = self.cli("kill")
            problems += [f"fastlb kill: {describe(stopping)}"] if stopping.returncode else []
        try:
            wait_until(lambda: not self.pids, "no process of the installation is left", timeout=5)
        except AssertionError:
            left = {pid: " ".join(processes.command_line(pid)) for pid in self.pids}
            problems.append(f"left behind: {left}")
            kill_all(list(left))
        sockets = [] if self._may_leave_sockets else [path for path in self.home.rglob("*") if path.is_socket()]
        return problems + [f"left behind: {path}" for path in sockets]

    def _faults_in_logs(self) -> list[str]:
        forbidden = [word for word in NOT_IN_LOGS if word not in self._allowed_in_logs]
        return [
            f"{word!r} in {path.name}"
            for path in self._log_files()
            for word in forbidden
            if word in path.read_text(errors="replace")
        ]

    def _log_files(self) -> list[Path]:
        return sorted((self.home / "logs").glob("*.log"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close(check=kind is None)


class App:
    """One running app of an installation, seen from outside."""

    def __init__(self, fastlb: Fastlb, name: str) -> None:
        self.fastlb = fastlb
        self.name = name

    def show(self) -> dict[str, Any]:
        """Return what `show --json` says."""
        return self._ask("show") or dict(json.loads(self.fastlb.ok("show", self.name, "--json").stdout))

    def entry(self) -> dict[str, Any]:
        """Return the app's entry in `list --json`."""
        return self._ask("list") or next(entry for entry in self.fastlb.list_json() if entry["name"] == self.name)

    def untaken(self, worker: int) -> int:
        """Return how many connections lie in the channel of a worker, by its number."""
        figures = (self._ask("metrics") or {"figures": []})["figures"]
        return sum(one["untaken"] for one in figures if one["id"] == worker)

    def _ask(self, method: str) -> dict[str, Any] | None:
        """Ask the supervisor as the commands do, without a process for each question; None: it does not answer."""
        try:
            with ControlClient(self.fastlb.home / "apps" / self.name / "control.sock") as client:
                return dict(json.loads(msgspec.json.encode(client.call(method))))
        except FastlbError:
            return None

    def ok(self, command: str, *args: str, timeout: float = 60.0) -> CliResult:
        """Run `fastlb COMMAND NAME ARGS`, which must succeed."""
        return self.fastlb.ok(command, self.name, *args, timeout=timeout)

    @property
    def supervisor_pid(self) -> int:
        """The supervisor's pid, from the list."""
        pid = self.entry()["pid"]
        assert isinstance(pid, int), f"{self.name} has no supervisor"
        return pid

    @property
    def dispatcher_pid(self) -> int:
        """The dispatcher's pid, from /proc."""
        return find_dispatcher(self.supervisor_pid)

    @property
    def worker_pids(self) -> list[int]:
        """Pids of the workers that are online, in the order of their ids."""
        workers = self.entry()["workers"]
        return [worker["pid"] for worker in workers if worker["status"] == "online"]

    @property
    def binds(self) -> list[str]:
        """Where it listens, as the list says."""
        return list(self.entry()["binds"])

    @cached_property
    def address(self) -> Address:
        """Where its first listener can be reached; asked for once."""
        return address_of(self.binds[0])

    @property
    def port(self) -> int:
        """The port of its first listener."""
        address = self.address
        assert not isinstance(address, str), f"{address} has no port"
        return address[1]

    def get(self, path: str = "/", timeout: float = 5.0) -> Response:
        """Make one request on a connection of its own."""
        return get(self.address, path, timeout)

    def wait_online(self, workers: int, timeout: float = 15.0) -> None:
        """Wait until exactly so many workers are online and no others exist."""

        def is_reached() -> bool:
            statuses = [worker["status"] for worker in self.entry()["workers"]]
            return statuses == ["online"] * workers

        wait_until(is_reached, f"{workers} workers of {self.name} online", timeout)

    def log(self, kind: str) -> str:
        """Return a whole log: "out", "error" or "supervisor"."""
        path = self.fastlb.home / "logs" / f"{self.name}-{kind}.log"
        return path.read_text(errors="replace") if path.exists() else ""


def find_dispatcher(supervisor_pid: int) -> int:
    """Return the pid of the running dispatcher among the supervisor's children, waiting for one."""

    def running() -> list[int]:
        candidates = [pid for pid in processes.children(supervisor_pid) if processes.is_running(pid)]
        return [pid for pid in candidates if "fastlb.lb" in processes.command_line(pid)]

    return wait_until(running, f"supervisor {supervisor_pid} has a dispatcher")[0]


def address_of(bind: str) -> Address:
    """Return the address to connect to for a bind as the list shows it."""
    if bind.startswith("unix:"):
        return bind.removeprefix("unix:")
    host, _, port = bind.removeprefix("http://").rpartition(":")
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.strip("[]"), host.strip("[]")), int(port)


def describe(result: CliResult) -> str:
    """Return exit code and output of a command, for messages."""
    return f"exit code {result.returncode}\n{result.stdout}{result.stderr}"


def kill_all(pids: list[int]) -> None:
    """SIGKILL processes of ours; those that are gone already are no matter."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
