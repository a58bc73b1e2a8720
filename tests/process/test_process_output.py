"""Real pipes into real files: whole lines, none lost, none mixed, and nothing that blocks."""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from fastlb.supervisor.home.paths import AppPaths, prepare_home
from fastlb.supervisor.output.event_log import EventLog
from fastlb.supervisor.output.follower import MAX_BUFFERED_BYTES, Chunk, Subscription
from fastlb.supervisor.output.pipes import MAX_LINE_BYTES, SPLIT_MARK, AttachedOutput
from fastlb.supervisor.output.worker_output import WorkerOutput
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.event_loop import open_loop_globals
from tests.support.waiting import scaled, wait_until


@pytest.fixture(scope="module", autouse=True)
def _loop_globals() -> None:
    open_loop_globals()


class Workbench:
    """A WorkerOutput with its files; workers are pipes that the test writes into."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.paths = AppPaths(directory, "app")
        prepare_home(directory)
        self.log = EventLog(self.paths.supervisor_log)
        self.output = WorkerOutput(AppConfig(target="app:app", name="app", **settings), self.paths, self.log)

    def attach(self, worker_id: int = 0) -> tuple[AttachedOutput, int, int]:
        """A worker; returns it with the ends that it would write to."""
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        return self.output.attach(worker_id, 4711, out_read, err_read), out_write, err_write

    def run(self, worker_id: int, *command: str) -> tuple[AttachedOutput, "subprocess.Popen[bytes]"]:
        """A worker that is a process."""
        attached, out_write, err_write = self.attach(worker_id)
        process = subprocess.Popen(command, stdout=out_write, stderr=err_write)
        os.close(out_write)
        os.close(err_write)
        return attached, process

    async def drained(self, attached: AttachedOutput) -> None:
        """Wait until all that a worker wrote is in the files."""
        await attached.drained()
        await self.output.written()

    @property
    def out(self) -> bytes:
        return self.paths.out_log.read_bytes()

    @property
    def err(self) -> bytes:
        return self.paths.error_log.read_bytes()

    def close(self) -> None:
        self.output.close()
        self.log.close()


def on_workbench(directory: Path, scenario: Callable[[Workbench], Awaitable[None]], **settings: Any) -> None:
    """Run a scenario on an event loop as the supervisor has it."""

    async def run() -> None:
        bench = Workbench(directory, **settings)
        try:
            await scenario(bench)
        finally:
            bench.close()

    uvloop.run(run())


async def until(condition: Callable[[], object], what: str) -> None:
    """Let the event loop work until a condition holds."""
    await asyncio.to_thread(wait_until, condition, what)


def close_all(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


def test_lines_arrive_in_their_files(tmp_path: Path) -> None:
    async def scenario(bench: Workbench) -> None:
        attached, out, err = bench.attach()
        os.write(out, b"one\ntwo\n")
        os.write(err, b"oops\n")
        await until(lambda: bench.out == b"one\ntwo\n", "lines arrive while it runs")
        await until(lambda: bench.err == b"oops\n", "errors arrive while it runs")
        close_all(out, err)
        await bench.drained(attached)
        assert attached.error_tail == "oops\n"

    on_workbench(tmp_path, scenario)


def test_unfinished_line_waits_for_its_end(tmp_path: Path) -> None:
    async def scenario(bench: Workbench) -> None:
        attached, out, err = bench.attach()
        os.write(out, b"whole\nhalf")
        await until(lambda: bench.out == b"whole\n", "the whole line is there")
        os.write(out, b" done\nlast")
        await until(lambda: bench.out == b"whole\nhalf done\n", "the line is whole")
        close_all(out, err)
        await bench.drained(attached)
        assert bench.out == b"whole\nhalf done\nlast\n", "the end of a line without newline is kept"

    on_workbench(tmp_path, scenario)


def test_two_workers_never_share_a_line_and_none_is_lost(tmp_path: Path) -> None:
    lines = 20_000
    code = f"import sys\nfor i in range({lines}): print(sys.argv[1], '%06d' % i, 'x' * (i % 300))"

    async def scenario(bench: Workbench) -> None:
        workers = [bench.run(n, sys.executable, "-u", "-c", code, f"worker-{n}") for n in range(2)]
        for attached, process in workers:
            await asyncio.to_thread(process.wait)
            await bench.drained(attached)

    on_workbench(tmp_path, scenario)
    found = AppPaths(tmp_path, "app").out_log.read_text().splitlines()
    for worker in ("worker-0", "worker-1"):
        numbers = [int(line.split()[1]) for line in found if line.startswith(worker + " ")]
        assert numbers == list(range(lines))
    assert all(line.count("x") == int(line.split()[1]) % 300 for line in found)


@pytest.mark.parametrize("size", [1, 1000, 65536])
def test_what_was_written_before_kill_9_is_in_the_file(tmp_path: Path, size: int) -> None:
    code = f"import os; os.write(1, b'y' * ({size} - 1) + b'\\n'); os.kill(os.getpid(), 9)"

    async def scenario(bench: Workbench) -> None:
        attached, process = bench.run(0, sys.executable, "-c", code)
        await asyncio.to_thread(process.wait)
        await bench.drained(attached)
        assert bench.out == b"y" * (size - 1) + b"\n"

    on_workbench(tmp_path, scenario)


def test_grandchild_that_holds_the_pipe_does_not_hold_us(tmp_path: Path) -> None:
    async def scenario(bench: Workbench) -> None:
        attached, out, err = bench.attach()
        os.write(out, b"before\nunfinished")
        before = time.monotonic()
        await bench.drained(attached)
        assert time.monotonic() - before < scaled(5)
        assert bench.out == b"before\nunfinished\n"
        assert attached.is_closed
        close_all(out, err)

    on_workbench(tmp_path, scenario)


def test_grandchild_that_never_stops_writing_does_not_hold_us(tmp_path: Path) -> None:
    async def scenario(bench: Workbench) -> None:
        attached, process = bench.run(0, "yes")
        await bench.drained(attached)
        assert attached.is_closed
        assert await asyncio.to_thread(process.wait) != 0, "it was told by SIGPIPE"

    on_workbench(tmp_path, scenario)


def test_line_that_is_too_long_is_split_and_marked(tmp_path: Path) -> None:
    async def scenario(bench: Workbench) -> None:
        attached, out, err = bench.attach()
        line = b"0123456789" * (MAX_LINE_BYTES // 4)
        await asyncio.to_thread(os.write, out, line)
        await asyncio.to_thread(os.write, out, b"\nnext\n")
        close_all(out, err)
        await bench.drained(attached)
        *parts, last, following, nothing = bench.out.split(b"\n")
        assert nothing == b""
        assert following == b"next"
        mark = SPLIT_MARK.removesuffix(b"\n")
        assert parts
        assert all(part.endswith(mark) and len(part) == MAX_LINE_BYTES + len(mark) for part in parts)
        assert b"".join([*(part.removesuffix(mark) for part in parts), last]) == line

    on_workbench(tmp_path, scenario)


def test_any_pieces_come_out_as_the_same_lines(tmp_path: Path, rng: random.Random) -> None:
    pieces = [b"\n", b"a\n", b"\n\n", b"word ", rng.randbytes(5000), rng.randbytes(9000)]
    text = b"".join(rng.choice(pieces) for _ in range(400))

    async def scenario(bench: Workbench) -> None:
        attached, out, err = bench.attach()
        position = 0
        while position < len(text):
            length = rng.choice([1, 7, 4096, 60000])
            position += await asyncio.to_thread(os.write, out, text[position : position + length])
        close_all(out, err)
        await bench.drained(attached)
        expected = text if text.endswith(b"\n") else text + b"\n"
        assert bench.out.replace(SPLIT_MARK, b"") == expected

    on_workbench(tmp_path, scenario)


def test_error_tail_is_the_end_in_whole_lines(tmp_path: Path) -> None:
    async def scenario(bench: Workbench) -> None:
        attached, out, err = bench.attach()
        assert attached.error_tail == ""
        for number in range(2000):
            os.write(err, b"line %d \xff\n" % number)
            await asyncio.sleep(0)  # a turn of the loop, so that it reads in between; nothing is waited for
        close_all(out, err)
        await bench.drained(attached)
        lines = attached.error_tail.splitlines()
        assert lines[-1] == "line 1999 \\xff"
        assert all(line.startswith("line ") for line in lines)
        assert len(attached.error_tail) <= 16384

    on_workbench(tmp_path, scenario)


def test_held_worker_waits_in_its_pipe(tmp_path: Path) -> None:
    async def scenario(bench: Workbench) -> None:
        attached, out, err = bench.attach()
        attached.hold()
        os.write(out, b"held\n")
        _, other_out, other_err = other = bench.attach(1)
        os.write(other_out, b"free\n")
        await until(lambda: bench.out == b"free\n", "the other worker is read")
        attached.release()
        await until(lambda: bench.out == b"free\nheld\n", "the held one is read again")
        close_all(out, err, other_out, other_err)
        await bench.drained(attached)
        await bench.drained(other[0])

    on_workbench(tmp_path, scenario)


def test_follower_gets_lines_of_its_stream(tmp_path: Path) -> None:
    async def scenario(bench: Workbench) -> None:
        attached, out, err = bench.attach()
        os.write(out, b"early\n")
        await until(lambda: bench.out == b"early\n", "the early line is written")
        with bench.output.subscribed("err") as errors, bench.output.subscribed("all") as everything:
            assert {end.size_bytes for end in await bench.output.ends()} >= {6, 0}
            os.write(out, b"out\n")
            assert (await everything.take())[:2] == ("out", b"out\n")
            os.write(err, b"err\n")
            assert (await everything.take())[:2] == ("err", b"err\n")
            assert (await errors.take())[:2] == ("err", b"err\n")
        close_all(out, err)
        await bench.drained(attached)

    on_workbench(tmp_path, scenario)


def test_slow_follower_loses_lines_and_is_told_how_many() -> None:
    async def scenario() -> None:
        subscription = Subscription("all")
        line = b"x" * 1023 + b"\n"
        chunk = Chunk("out", line, 0, 7, 1.0)
        fitting = MAX_BUFFERED_BYTES // len(line)
        for _ in range(fitting + 5):
            subscription.offer(chunk)
        for _ in range(fitting):
            assert await subscription.take() == chunk
        mark = await subscription.take()
        assert mark.stream == "out"
        assert b"5 lines are not shown" in mark.lines
        subscription.offer(chunk)
        assert await subscription.take() == chunk

    asyncio.run(scenario())


def test_log_that_was_moved_away_is_opened_anew(tmp_path: Path) -> None:
    async def scenario(bench: Workbench) -> None:
        attached, out, err = bench.attach()
        os.write(out, b"before\n")
        await until(lambda: bench.out == b"before\n", "the first line is written")
        moved = bench.paths.out_log.rename(tmp_path / "moved")
        written = 1

        def write_another() -> bool:
            nonlocal written
            os.write(out, b"line\n")
            written += 1
            return bench.paths.out_log.exists()

        await until(write_another, "the log is there again")
        close_all(out, err)
        await bench.drained(attached)
        assert (moved.read_bytes() + bench.out).count(b"\n") == written

    on_workbench(tmp_path, scenario)


TRACE = b"failed\nTraceback (most recent call last):\n  File\nValueError: x\n"


def test_traceback_is_one_object(tmp_path: Path) -> None:
    async def scenario(bench: Workbench) -> None:
        attached, out, err = bench.attach()
        os.write(out, TRACE + b"next")
        await until(lambda: b"failed" in bench.out, "it is written, though nothing follows")
        close_all(out, err)
        await bench.drained(attached)
        messages = [json.loads(line)["message"] for line in bench.out.splitlines()]
        assert messages == [TRACE.decode()[:-1], "next"]

    on_workbench(tmp_path, scenario, log_type="json", log_multiline=True)


def test_traceback_has_one_time(tmp_path: Path) -> None:
    async def scenario(bench: Workbench) -> None:
        attached, out, err = bench.attach()
        os.write(out, TRACE)
        close_all(out, err)
        await bench.drained(attached)
        first, rest = bench.out.split(b": ", 1)
        assert rest == TRACE
        assert len(first) == len("2026-03-01T12:00:00")

    on_workbench(tmp_path, scenario, time=True, log_multiline=True)
