"""A thread that writes: in order, alive whatever a write raises, and never waited for in vain."""

import threading
from collections.abc import Iterator

import pytest
from fastlb.supervisor.output.writer_thread import ITEM_BYTES, WriterThread

from tests.support.waiting import scaled, wait_until


class Gate:
    """A write that hangs while the gate is closed."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.written: list[str] = []
        self.failures: list[str] = []
        self.thread: WriterThread[str] = WriterThread(
            "test", self.write, lambda error: self.failures.append(str(error))
        )

    def write(self, item: str) -> None:
        assert self.opened.wait(scaled(20))
        if item == "bad":
            raise ValueError("bad")
        self.written.append(item)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()
    gate.thread.close(scaled(20), lambda: None)


def test_items_are_written_in_order_and_counted(gate: Gate) -> None:
    for item in "abc":
        gate.thread.put(item, 10)
    assert gate.thread.waiting_bytes == 3 * (10 + ITEM_BYTES)
    gate.opened.set()
    assert gate.thread.flush(scaled(20))
    assert gate.written == ["a", "b", "c"]
    assert gate.thread.waiting_bytes == 0
    assert gate.thread.done_bytes == 3 * (10 + ITEM_BYTES)


def test_what_is_staged_waits_for_the_commit(gate: Gate) -> None:
    gate.opened.set()
    assert gate.thread.stage("a", 10)
    assert not gate.thread.stage("b", 10)
    assert gate.thread.waiting_bytes == 2 * (10 + ITEM_BYTES)
    assert not gate.thread.flush(0.01) or gate.written == [], "nobody has told the thread"
    gate.thread.put("c", 10)
    assert gate.thread.flush(scaled(20))
    assert gate.written == ["a", "b", "c"]


def test_write_that_fails_is_told_and_the_next_one_comes(gate: Gate) -> None:
    gate.opened.set()
    for item in ("bad", "good"):
        gate.thread.put(item, 0)
    assert gate.thread.flush(scaled(20))
    assert (gate.failures, gate.written) == (["bad"], ["good"])


def test_whoever_waits_for_room_is_called_once(gate: Gate) -> None:
    calls: list[int] = []
    for item in "abcd":
        gate.thread.put(item, 1000)
    gate.thread.call_at(2000, lambda: calls.append(gate.thread.waiting_bytes))
    assert calls == []
    gate.opened.set()
    assert gate.thread.flush(scaled(20))
    assert calls == [1000 + ITEM_BYTES]
    gate.thread.call_at(2000, lambda: calls.append(0))
    assert calls[1:] == [0], "there is room already"


def test_what_hangs_is_given_back_and_not_waited_for(gate: Gate) -> None:
    for item in "ab":
        gate.thread.put(item, 0)
    wait_until(lambda: not gate.thread.flush(0), "it hangs")
    ended = threading.Event()
    assert gate.thread.close(0.01, ended.set) == ["a", "b"]
    assert not ended.is_set(), "a file is not closed while it is written"
    gate.opened.set()
    assert ended.wait(scaled(20))
    assert gate.written == ["a"], "what was given back is not written later"
