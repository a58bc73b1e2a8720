"""The parts of a WSGI worker that need no process: proxies, outbox, timeout wheel, body."""

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest
from fastlb.worker.timeout_wheel import TICK, TimeoutWheel
from fastlb.worker.wsgi import outbox as outbox_module
from fastlb.worker.wsgi.body_spool import BodySpool, BodyWriter
from fastlb.worker.wsgi.outbox import ClientGone, Outbox
from fastlb.worker.wsgi.request_body import MEMORY_BYTES, RequestBody
from fastlb.worker.wsgi.trusted_proxies import TrustedProxies

from tests.support.waiting import scaled, wait_until


@pytest.mark.parametrize(
    ("allowed", "address", "trusted"),
    [
        ("127.0.0.1,::1", "127.0.0.1", True),
        ("127.0.0.1,::1", "::1", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("10.0.0.0/8", "10.200.0.1", True),
        ("10.0.0.0/8, 2001:db8::/32", "2001:db8::5", True),
        ("10.0.0.0/8", "", False),
        ("", "127.0.0.1", False),
        ("*", "8.8.8.8", True),
        ("*", "", True),
        ("gateway", "gateway", True),
    ],
)
def test_trusted_proxies(allowed: str, address: str, trusted: bool) -> None:
    assert TrustedProxies(allowed).trusts(address) is trusted


@pytest.mark.parametrize(
    ("allowed", "forwarded_for", "client"),
    [
        ("10.0.0.0/8", "1.1.1.1, 2.2.2.2, 10.0.0.1", "2.2.2.2"),
        ("10.0.0.0/8", "10.0.0.2, 10.0.0.1", "10.0.0.2"),
        ("10.0.0.0/8", "1.1.1.1:1234", "1.1.1.1"),
        ("10.0.0.0/8", "[2001:db8::1]:1234, 10.0.0.1", "2001:db8::1"),
        ("10.0.0.0/8", "2001:db8::1", "2001:db8::1"),
        ("*", "1.1.1.1, 2.2.2.2", "1.1.1.1"),
        ("10.0.0.0/8", "", ""),
    ],
)
def test_client_behind_proxies(allowed: str, forwarded_for: str, client: str) -> None:
    assert TrustedProxies(allowed).client_of(forwarded_for) == client


@pytest.fixture
def writer() -> Iterator[BodyWriter]:
    loop = asyncio.new_event_loop()
    writer = BodyWriter(loop)
    yield writer
    writer.stop()
    loop.close()


@pytest.mark.parametrize("size", [0, 1, MEMORY_BYTES, MEMORY_BYTES + 1, 5 * MEMORY_BYTES])
def test_body_is_the_same_in_memory_and_on_disk(size: int, writer: BodyWriter) -> None:
    content = bytes(index % 251 for index in range(size))
    body = RequestBody(writer, lambda: None)
    for start in range(0, size, 10_000):
        body.append(content[start : start + 10_000])
    source = body.source()
    with source.open() if isinstance(source, BodySpool) else source as file:
        assert (file.read(), body.size) == (content, size)


def test_discarded_body_leaves_no_file_open(writer: BodyWriter) -> None:
    before = len(os.listdir("/proc/self/fd"))
    body = RequestBody(writer, lambda: None)
    body.append(b"x" * (MEMORY_BYTES + 1))
    wait_until(lambda: len(os.listdir("/proc/self/fd")) > before, "the file is open")
    body.discard()
    wait_until(lambda: len(os.listdir("/proc/self/fd")) == before, "the file is closed")


def drain(outbox: Outbox) -> bytes:
    return b"".join(iter(outbox.take, b""))


def test_outbox_is_first_in_first_out_across_memory_and_disk() -> None:
    told: list[None] = []
    outbox = Outbox(lambda: told.append(None))
    pieces = [bytes([number]) * 300_000 for number in range(20)]
    for piece in pieces[:10]:
        outbox.put(piece)
    first = outbox.take()
    for piece in pieces[10:]:
        outbox.put(piece)
    assert first + drain(outbox) == b"".join(pieces)
    assert len(told) == 2  # once per time that it was found empty or begun to be emptied
    outbox.put(b"again")
    assert outbox.take() == b"again"
    outbox.close()


def test_outbox_takes_one_piece_that_is_larger_than_its_memory() -> None:
    outbox = Outbox(lambda: None)
    outbox.put(b"x" * (5 * outbox_module.MEMORY_BYTES))
    assert len(drain(outbox)) == 5 * outbox_module.MEMORY_BYTES
    outbox.close()


def in_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_full_disk_share_makes_the_app_wait_until_something_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "DISK_BYTES", 1_000_000)
    outbox = Outbox(lambda: None)
    total = 6_000_000
    done = threading.Event()

    def produce() -> None:
        outbox.put(b"x" * total)
        done.set()

    thread = in_thread(produce)
    taken = 0
    while taken < total:
        assert thread.is_alive() or done.is_set()
        taken += len(outbox.take())
    thread.join(scaled(5))
    assert done.is_set()
    assert taken == total
    outbox.close()


def test_app_that_waits_is_told_that_the_client_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "DISK_BYTES", 1)
    outbox = Outbox(lambda: None)
    raised = threading.Event()

    def produce() -> None:
        with pytest.raises(ClientGone):
            outbox.put(b"x" * 10_000_000)
        raised.set()

    thread = in_thread(produce)
    outbox.close()
    thread.join(scaled(5))
    assert raised.is_set()
    with pytest.raises(ClientGone):
        outbox.put(b"more")


class Alarm:
    """A deadline that ends the loop's run when it is due."""

    def __init__(self, loop: asyncio.AbstractEventLoop, order: list[str], name: str) -> None:
        self.deadline = 0.0
        self.watched_tick = 0
        self.due_at = 0.0
        self._loop, self._order, self._name = loop, order, name

    def on_deadline(self, now: float) -> None:
        self.due_at = now
        self._order.append(self._name)
        if self._name == "last":
            self._loop.stop()


def test_wheel_holds_nothing_that_was_forgotten() -> None:
    loop = asyncio.new_event_loop()
    wheel, alarm = TimeoutWheel(loop), Alarm(loop, [], "forgotten")
    alarm.deadline = loop.time() + 60
    wheel.watch(alarm)
    wheel.forget(alarm)
    held = weakref.ref(alarm)
    del alarm
    assert held() is None
    wheel.stop()
    loop.close()


def order_of_moving_deadlines() -> tuple[list[str], bool]:
    """Return in which order alarms came, and whether the loop was there in time for each."""
    loop = asyncio.new_event_loop()
    wheel, order = TimeoutWheel(loop), list[str]()
    alarms = {
        name: Alarm(loop, order, name) for name in ("moved later", "early", "cancelled", "hastened", "last")
    }
    start = loop.time()
    for name, ticks in {"moved later": 1, "early": 3, "cancelled": 2, "hastened": 50_000, "last": 9}.items():
        alarms[name].deadline = start + ticks * TICK
        wheel.watch(alarms[name])
    alarms["moved later"].deadline = start + 6 * TICK
    alarms["cancelled"].deadline = 0.0
    alarms["hastened"].deadline = start + TICK
    wheel.watch(alarms["hastened"])
    loop.run_forever()
    loop.close()
    assert all(alarm.due_at >= alarm.deadline for alarm in alarms.values())
    wheel.stop()
    return order, all(alarm.due_at < alarm.deadline + 2 * TICK for alarm in alarms.values() if alarm.deadline)


def test_wheel_keeps_order_and_follows_deadlines_that_move() -> None:
    for _ in range(100):
        order, is_in_time = order_of_moving_deadlines()
        if is_in_time:  # else the machine was elsewhere, and what was due meanwhile comes at once
            break
    assert order == ["hastened", "early", "moved later", "last"]
