"""Access log lines gather while the loop turns, are written once a turn, and do not make it wait for their reader."""

import asyncio
import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastlb.worker.access_log.access_log import AccessLog
from fastlb.worker.access_log.lines import AnsweredRequest, LineMaker
from fastlb.worker.access_log.mark import ACCESS_MARK

from tests.support.waiting import scaled

MOST_BYTES = 1 << 20
MARK = re.compile(r"^\[fastlb\] (\d+) lines were lost here: the supervisor did not read them$")


class Direct:
    """A route that is always direct."""

    def is_direct(self) -> bool:
        return True

    def log(self, request: AnsweredRequest, maker: LineMaker) -> None:
        raise AssertionError

    def pass_on(self, message: str, *arguments: Any) -> None:
        raise AssertionError


class Pipe:
    """A pipe whose reader decides when it reads."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)

    def read(self) -> str:
        """Return what is there now."""
        parts = []
        try:
            while part := os.read(self.read_fd, 1 << 20):
                parts.append(part)
        except BlockingIOError:
            pass
        return b"".join(parts).decode()

    async def read_until(self, end: str) -> str:
        """Read while the loop turns, until the end of what came is this."""
        text = ""
        async with asyncio.timeout(scaled(20)):
            while not text.endswith(end):
                await asyncio.sleep(0)
                text += self.read()
        return text

    def close(self) -> None:
        for fd in (self.read_fd, self.write_fd):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def numbered(number: int, padding: int = 0) -> AnsweredRequest:
    request = AnsweredRequest()
    request.client, request.client_port = "10.0.0.1", 5000
    request.method, request.protocol, request.status = "GET", b"HTTP/1.1", 200
    request.target = f"/{number}?" + "x" * padding
    return request


def line(number: int, padding: int = 0) -> str:
    return f'10.0.0.1:5000 - "GET /{number}?{"x" * padding} HTTP/1.1" 200\n'


def record(log: AccessLog, *numbers: int, padding: int = 0) -> None:
    for number in numbers:
        log.record(numbered(number, padding))


def test_lines_of_a_turn_are_written_at_its_end(pipe: Pipe) -> None:
    async def run() -> None:
        log = AccessLog("", Direct(), False, pipe.write_fd)
        record(log, *range(300))
        assert pipe.read() == ""
        await asyncio.sleep(0)
        assert pipe.read() == "".join(map(line, range(300)))
        record(log, 1)
        await asyncio.sleep(0)
        assert pipe.read() == line(1)

    asyncio.run(run())


def test_reader_that_does_not_read_holds_nobody_up_and_gets_all_later(pipe: Pipe) -> None:
    async def run() -> str:
        log = AccessLog("", Direct(), False, pipe.write_fd)
        for number in range(0, 5000, 10):
            record(log, *range(number, number + 10))
            await asyncio.sleep(0)
        assert log.waiting_bytes > 100_000
        text = await pipe.read_until(line(4999))
        assert log.waiting_bytes == 0
        record(log, 5000)
        await asyncio.sleep(0)
        return text + pipe.read()

    assert asyncio.run(run()) == "".join(map(line, range(5001)))


@pytest.mark.parametrize("kind", ["", "json"])
def test_lines_without_room_are_counted_where_they_are_missing(pipe: Pipe, kind: str) -> None:
    async def run() -> list[str]:
        log = AccessLog(kind, Direct(), True, pipe.write_fd)
        record(log, *range(12_000), padding=100)
        assert log.waiting_bytes < MOST_BYTES + 1000
        text = await pipe.read_until("did not read them\n" if not kind else 'did not read them"}\n')
        record(log, 12_000)
        await asyncio.sleep(0)
        return (text + pipe.read()).removesuffix("\n").split("\n")

    lines = asyncio.run(run())
    assert all(text.startswith(ACCESS_MARK) for text in lines)
    *kept, mark, last = (text.removeprefix(ACCESS_MARK) for text in lines)
    lost = 12_000 - len(kept)
    assert lost > 1000
    assert f"/{len(kept) - 1}" in kept[-1]
    assert "/12000" in last
    if kind:
        message = f"{lost} lines were lost here: the supervisor did not read them"
        assert json.loads(mark) == {"lost_lines": lost, "message": message}
    else:
        found = MARK.match(mark)
        assert found
        assert int(found[1]) == lost


def test_reader_that_is_slow_slows_the_loop_down_and_loses_nothing(pipe: Pipe) -> None:
    read: list[bytes] = []
    os.set_blocking(pipe.read_fd, True)

    def drain() -> None:
        while part := os.read(pipe.read_fd, 4096):
            read.append(part)

    reader = threading.Thread(target=drain)

    async def run() -> None:
        log = AccessLog("", Direct(), False, pipe.write_fd)
        record(log, *range(5_000), padding=100)
        reader.start()
        record(log, *range(5_000, 20_000), padding=100)  # more than waits, in one turn
        log.close()

    asyncio.run(run())
    os.close(pipe.write_fd)
    pipe.write_fd = -1
    reader.join(scaled(20))
    assert b"".join(read).decode() == "".join(line(number, 100) for number in range(20_000))


def test_line_longer_than_a_piece_of_a_pipe_is_whole(pipe: Pipe) -> None:
    async def run() -> str:
        log = AccessLog("", Direct(), False, pipe.write_fd)
        record(log, 1, 2, padding=200_000)
        record(log, 3)
        return await pipe.read_until(line(3))

    assert asyncio.run(run()) == line(1, 200_000) + line(2, 200_000) + line(3)


def test_close_waits_for_a_reader_and_later_lines_go_nowhere(pipe: Pipe) -> None:
    log = AccessLog("", Direct(), False, pipe.write_fd)
    read: list[str] = []
    os.set_blocking(pipe.read_fd, True)

    def drain() -> None:
        with open(pipe.read_fd, closefd=False) as file:
            read.append(file.read())

    reader = threading.Thread(target=drain)

    async def run() -> None:
        record(log, *range(5000))
        reader.start()
        log.close()
        record(log, 5000)

    asyncio.run(run())
    os.close(pipe.write_fd)
    pipe.write_fd = -1
    reader.join(scaled(20))
    assert read == ["".join(map(line, range(5000)))]


def test_nothing_waits_where_no_loop_runs(pipe: Pipe) -> None:
    log = AccessLog("", Direct(), False, pipe.write_fd)
    record(log, 1)
    assert pipe.read() == line(1)


def test_reader_that_is_gone_is_no_failure(pipe: Pipe) -> None:
    async def run() -> None:
        log = AccessLog("", Direct(), False, pipe.write_fd)
        os.close(pipe.read_fd)
        pipe.read_fd = -1
        record(log, *range(100))
        await asyncio.sleep(0)
        assert log.waiting_bytes == 0

    asyncio.run(run())


def test_forked_child_writes_nothing_of_its_parent(pipe: Pipe) -> None:
    async def run() -> None:
        log = AccessLog("", Direct(), False, pipe.write_fd)
        log.keep_to_process()
        record(log, 1)
        child = os.fork()
        if child == 0:
            log.close()  # as atexit does where a child ends by sys.exit()
            os._exit(0)
        os.waitpid(child, 0)
        assert pipe.read() == ""
        await asyncio.sleep(0)
        assert pipe.read() == line(1)
        log.close()

    asyncio.run(run())


def test_line_that_cannot_be_made_costs_no_request(pipe: Pipe, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        log = AccessLog("", Direct(), False, pipe.write_fd)
        record(log, 1)
        broken = numbered(2)
        broken.target = 7  # type: ignore[assignment]
        log.record(broken)
        record(log, 3)
        await asyncio.sleep(0)
        assert pipe.read() == line(1) + line(3)

    asyncio.run(run())
    assert "a line of the access log could not be made" in caplog.text


def test_line_that_cannot_be_made_repeats_none_of_those_written_to_make_room(pipe: Pipe) -> None:
    log = AccessLog("", Direct(), False, pipe.write_fd)
    count = 0
    while log.waiting_bytes < MOST_BYTES:  # no loop runs: the pipe is full
        record(log, count, padding=1000)
        count += 1
    text = pipe.read()
    before = log.waiting_bytes
    broken = numbered(count)
    broken.target = 7  # type: ignore[assignment]
    log.record(broken)
    written = pipe.read()
    assert written
    assert log.waiting_bytes == before - len(written)
    text += written
    while log.waiting_bytes:
        log.on_writable()
        text += pipe.read()
    assert text == "".join(line(number, 1000) for number in range(count))


def kept_and_lost(text: str, padding: int) -> tuple[list[int], int]:
    """Return the numbers of the lines in `text`, each of which is whole, and how many it says were lost."""
    kept, lost = list[int](), 0
    for found in text.splitlines(keepends=True):
        if mark := MARK.match(found):
            lost += int(mark[1])
        else:
            kept.append(int(found.partition("/")[2].partition("?")[0]))
            assert found == line(kept[-1], padding)
    return kept, lost


@pytest.mark.parametrize("is_read_at_once", [True, False], ids=["slow reader", "late reader"])
def test_threads_tear_no_line_and_lose_none_uncounted(pipe: Pipe, is_read_at_once: bool) -> None:
    threads, lines_each, padding = 8, 2500, 100
    may_read, read = threading.Event(), list[bytes]()
    os.set_blocking(pipe.read_fd, True)

    def drain() -> None:
        may_read.wait(scaled(20))
        while part := os.read(pipe.read_fd, 512):
            read.append(part)

    reader = threading.Thread(target=drain)

    async def run() -> None:
        log = AccessLog("", Direct(), False, pipe.write_fd)
        loop = asyncio.get_running_loop()

        def record_all(thread: int) -> None:
            for number in range(lines_each):
                log.record_in_thread(numbered(thread * lines_each + number, padding), loop)

        reader.start()
        if is_read_at_once:
            may_read.set()
        with ThreadPoolExecutor(threads) as pool:
            calls = [loop.run_in_executor(pool, record_all, thread) for thread in range(threads)]
            for number in range(1000):
                log.record(numbered(threads * lines_each + number, padding))  # the loop's own
                await asyncio.sleep(0)
            await asyncio.gather(*calls)
        may_read.set()
        async with asyncio.timeout(scaled(20)):
            while log.waiting_bytes:
                await asyncio.sleep(0)

    try:
        asyncio.run(run())
    finally:
        may_read.set()
        os.close(pipe.write_fd)
        pipe.write_fd = -1
        reader.join(scaled(20))
    kept, lost = kept_and_lost(b"".join(read).decode(), padding)
    assert len(kept) + lost == threads * lines_each + 1000
    for thread in range(threads + 1):
        own = [number for number in kept if number // lines_each == thread]
        assert own == sorted(own)
    assert lost or is_read_at_once


def test_threads_make_lines_for_logging_at_once() -> None:
    threads, together = 8, threading.Barrier(8, timeout=scaled(20))

    def make(maker: LineMaker) -> str:
        together.wait()
        return maker.line(numbered(1))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(threads) as pool:
            for _ in range(400):
                made = pool.map(make, [LineMaker("[%(t)s]")] * threads)
                assert all(re.fullmatch(r"\[\[.+\]\]", text) for text in made)
    finally:
        sys.setswitchinterval(interval)
