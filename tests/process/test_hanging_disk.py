"""A disk that hangs stops neither workers nor loop; lines that are dropped are counted exactly, in their place."""

import asyncio
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest
import uvloop
from fastlb.supervisor.home.paths import AppPaths, prepare_home
from fastlb.supervisor.output import log_queue
from fastlb.supervisor.output.event_log import EventLog
from fastlb.supervisor.output.log_queue import FULL_BYTES
from fastlb.supervisor.output.worker_output import WorkerOutput
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.event_loop import open_loop_globals
from tests.support.hanging_disk import HangingDisk, hanging
from tests.support.waiting import scaled, wait_until

LINE = b"%08d " + b"x" * 1014 + b"\n"
MORE_THAN_WAITS = 2 * FULL_BYTES // 1024
MARK = re.compile(rb"\[fastlb\] (\d+) lines were lost here")


@pytest.fixture(scope="module", autouse=True)
def _loop_globals() -> None:
    open_loop_globals()


class Bench:
    """The output of a worker that prints numbered lines, and the files that it goes to."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.paths = AppPaths(directory, "app")
        prepare_home(directory)
        self.log = EventLog(self.paths.supervisor_log)
        self.output = WorkerOutput(AppConfig(target="app:app", name="app", **settings), self.paths, self.log)
        out_read, self._out = os.pipe()
        err_read, self._err = os.pipe()
        self._attached = self.output.attach(0, 4711, out_read, err_read)
        self._printed = 0

    async def print_lines(self, count: int) -> None:
        """Print so many lines; returns when the worker has got rid of them."""
        await asyncio.wait_for(asyncio.to_thread(self._print, count), scaled(20))

    def _print(self, count: int) -> None:
        with open(self._out, "wb", buffering=0, closefd=False) as out:
            for number in range(self._printed, self._printed + count):
                out.write(LINE % number)
        self._printed += count

    async def end(self) -> None:
        """End the worker, and everything."""
        os.close(self._out)
        os.close(self._err)
        await self._attached.drained()
        self.output.close()
        self.log.close()

    def check(self, written: bytes) -> int:
        """Check that each line was written in its place or counted as lost there; return how many were lost."""
        expected, lost = 0, 0
        for line in written.splitlines(keepends=True):
            if mark := MARK.match(line):
                lost += int(mark[1])
                expected += int(mark[1])
            else:
                assert line == LINE % expected
                expected += 1
        assert expected == self._printed
        return lost


async def told(path: Path, event: str) -> None:
    """Wait until the log has an event."""
    await asyncio.to_thread(wait_until, lambda: f" {event} " in path.read_text(), f"{event} is in the log")


def test_disk_that_hangs_costs_lines_that_are_counted(tmp_path: Path) -> None:
    async def scenario() -> HangingDisk:
        bench = Bench(tmp_path)
        with hanging(bench.paths.out_log) as disk:
            await bench.print_lines(MORE_THAN_WAITS)
            await told(bench.paths.supervisor_log, "log_lines_dropped")
            assert bench.output.report()["waiting_bytes"] > FULL_BYTES
            disk.recover()
            await bench.output.written()
            await bench.print_lines(10)
            await told(bench.paths.supervisor_log, "log_resumed")
            (lost,) = bench.output.report()["lost_lines"].values()
            await bench.end()
        assert bench.check(disk.taken + bench.paths.out_log.read_bytes()) == lost > 0
        assert f"lost_lines={lost}" in bench.paths.supervisor_log.read_text()
        return disk

    uvloop.run(scenario())


def test_burst_that_the_disk_takes_in_time_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_queue, "PATIENCE", scaled(10))
    monkeypatch.setattr(log_queue, "HANGS_SECONDS", scaled(10))

    async def scenario() -> None:
        bench = Bench(tmp_path)
        await bench.print_lines(3 * MORE_THAN_WAITS)
        await bench.end()
        assert bench.check(bench.paths.out_log.read_bytes()) == 0

    uvloop.run(scenario())


def test_disk_that_hangs_for_long_is_told_before_anything_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_queue, "STALL_SECONDS", 0.1)
    monkeypatch.setattr(log_queue, "SIZES_SECONDS", 0.1)

    async def scenario() -> None:
        bench = Bench(tmp_path)
        with hanging(bench.paths.out_log) as disk:
            await bench.print_lines(10)
            await told(bench.paths.supervisor_log, "log_hangs")
            assert bench.output.report()["hanging_s"] > 0
            assert len(await bench.output.ends()) <= 1, "nobody waits for a disk that hangs"
            disk.recover()
            await told(bench.paths.supervisor_log, "log_goes_on")
            await bench.end()
        assert bench.check(disk.taken + bench.paths.out_log.read_bytes()) == 0

    uvloop.run(scenario())


def test_end_does_not_wait_for_a_disk_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_queue, "CLOSE_SECONDS", 0.1)

    async def scenario() -> None:
        bench = Bench(tmp_path)
        with hanging(bench.paths.out_log) as disk:
            await bench.print_lines(10)
            await bench.end()
            assert "log_lines_not_written count=10" in bench.paths.supervisor_log.read_text()
            disk.recover()

    uvloop.run(scenario())


def tell(log: EventLog, events: int) -> None:
    for number in range(events):
        log.info("event", number=number, text="x" * 500)


def test_events_do_not_wait_for_a_disk_that_hangs(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "log")
    events = 3000
    with hanging(tmp_path / "log") as disk:
        telling = threading.Thread(target=tell, args=(log, events))
        telling.start()
        telling.join(scaled(20))
        assert not telling.is_alive()
        disk.recover()
        wait_until(lambda: not log.is_behind, "the disk has taken them")
        log.info("last")
        log.close()
    written = (disk.taken + (tmp_path / "log").read_bytes()).decode()
    lost = re.findall(r"events_lost count=(\d+)", written)
    assert int(lost[0]) + written.count("INFO event ") == events
    assert " INFO last" in written
