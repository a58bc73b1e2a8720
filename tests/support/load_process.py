"""Owns a running load generator: starts the process, shows its progress, stops it, returns its report.

Runs in the test (or trial) process. The generator ends with us: closing our end of its stop pipe stops it.
"""

import mmap
import os
import struct
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import msgspec

from .load_plan import Plan, Report
from .waiting import scaled, wait_until

ROOT = Path(__file__).resolve().parents[2]
COUNTER_BYTES = 8


class LoadProcess:
    """A load that runs until `stop()` or the bound of its plan.

    As a context manager it is stopped at the end of the block, and the report is in `report`.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.report = Report()
        counter_fd = os.memfd_create("load-progress")
        os.ftruncate(counter_fd, COUNTER_BYTES)
        self._counter = mmap.mmap(counter_fd, COUNTER_BYTES)
        stop_read, self._stop_write = os.pipe()
        fds = (counter_fd, stop_read)
        command = [*_command(plan), "--progress-fd", str(counter_fd), "--stop-fd", str(stop_read), "--json"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, pass_fds=fds)
        os.close(counter_fd)
        os.close(stop_read)
        self._finished = False

    @property
    def completed(self) -> int:
        """Requests that have been answered or have failed so far."""
        return int(struct.unpack("q", self._counter[:COUNTER_BYTES])[0])

    def wait_for(self, requests: int, timeout: float = 30.0) -> None:
        """Wait until so many more requests are done."""
        goal = self.completed + requests
        wait_until(lambda: self.completed >= goal or self._has_ended, f"{goal} requests", timeout)

    @property
    def _has_ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> Report:
        """Let the generator finish what is in flight and return what it saw."""
        self._release_stop()
        return self.join(timeout=self.plan.timeout + 10)

    def join(self, timeout: float = 60.0) -> Report:
        """Wait for the end of a bounded load and return what it saw."""
        if not self._finished:
            output, _ = self._process.communicate(timeout=scaled(timeout))
            self._finished = True
            self._release_stop()
            self._counter.close()
            assert output, f"the load generator failed with exit code {self._process.returncode}"
            self.report = msgspec.json.decode(output, type=Report)
        return self.report

    def _release_stop(self) -> None:
        if self._stop_write >= 0:
            os.close(self._stop_write)
            self._stop_write = -1

    def __enter__(self) -> "LoadProcess":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self.stop()
            return
        self._release_stop()
        if not self._finished:
            self._process.kill()
            self._process.communicate()
            self._counter.close()


def run_load(plan: Plan, timeout: float = 60.0) -> Report:
    """Run a load with a bound to its end, in a process of its own."""
    with LoadProcess(plan) as load:
        return load.join(timeout)


def _command(plan: Plan) -> list[str]:
    host_or_path = plan.address if isinstance(plan.address, str) else "[{}]:{}".format(*plan.address)
    command = [sys.executable, "-m", "tests.support.load", host_or_path, "--path", plan.path]
    command += ["--clients", str(plan.clients), "--timeout", str(scaled(plan.timeout))]
    command += ["--requests", str(plan.requests), "--seconds", str(plan.seconds)]
    command += ["--slow-after", str(plan.slow_after)]
    return command + ["--keep-alive"] * plan.keep_alive
