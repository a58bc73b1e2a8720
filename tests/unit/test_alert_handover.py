"""What a supervisor leaves its successor of its alerts: the form, its bounds, and other versions of it."""

import asyncio
import json
import os
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from fastlb.supervisor.alerts.channels.channel import Channel
from fastlb.supervisor.alerts.channels.sender import FAILURES, MOST_TRIES, MOST_WAITING, Sender
from fastlb.supervisor.alerts.handover import MOST_BYTES, Backlog, Inheritance, Known, decode, encode
from fastlb.supervisor.alerts.judge import AlertState, judge
from fastlb.supervisor.alerts.message import Alert, Message
from fastlb.supervisor.alerts.outbox import Outbox
from fastlb.supervisor.alerts.sample import Sample, Share
from fastlb.supervisor.alerts.telling import Tell, Told, tell
from fastlb.supervisor.output.event_log import EventLog
from fastlb.supervisor.settings.alerting import AlertRules
from fastlb.supervisor.succession.estate import new_estate, read_estate, write_estate

NOW = 1000.0
RULES = AlertRules()
HOOK = Channel("webhook", "webhook somewhere")


def samples(count: int, **changes: Any) -> list[Sample]:
    """Looks in each of which there are three restarts more."""
    lists: dict[str, Any] = {"latency_us": [1], "unhealthy": [], "errored": [], "dead_channels": []} | changes
    share = Share(97.0, "worker 3")
    return [Sample(NOW - at, cpu=share, restarts=3 * (count - at), **lists) for at in range(count, 0, -1)]


def numbered(number: int, text: str = "") -> Message:
    return Message(app="a", host="h", at=str(number), begun=[Alert("cpu", "then", text)] if text else [])


KNOWN = Known(
    samples=deque(samples(3)),
    states={
        "restarts": AlertState("on", NOW - 5, NOW - 6, "6 restarts within 10m (limit 5)"),
        "cpu": AlertState("pending", NOW - 1),
    },
    began={"restarts": "2026-03-01T12:00:00.000Z"},
    told=Told(frozenset({"restarts"}), NOW - 1, (NOW - 9, NOW - 2)),
)


def passed_on(left: Inheritance, now: float = NOW) -> Inheritance:
    return decode(encode(left), now)


def test_all_that_is_known_comes_through() -> None:
    backlog = Backlog(channel="email a@b", messages=[numbered(1, "x")], tries=2, failures=4, reason="no")
    found = passed_on(Inheritance(KNOWN, [backlog], 12.5))
    assert found.known == KNOWN
    assert (list(found.backlogs), found.silent_until) == ([backlog], 12.5)


def test_alert_that_is_on_begins_no_second_time_and_its_end_is_told() -> None:
    known = passed_on(Inheritance(KNOWN)).known
    at = NOW + 1
    known.samples.append(Sample(at))  # the successor's workers have restarted not once
    known.states = judge(known.states, list(known.samples), RULES)
    assert known.states["restarts"] == KNOWN.states["restarts"], "the window reaches back"
    known.told, told = tell(known.told, known.on, RULES, at, is_silent=False)
    assert told == Tell()
    at += RULES.restarts_window
    known.states = judge(known.states, [Sample(at)], RULES)
    known.told = tell(known.told, known.on, RULES, at, is_silent=False)[0]
    told = tell(known.told, known.on, RULES, at + RULES.group_wait, is_silent=False)[1]
    assert told == Tell(ended=("restarts",))


@pytest.mark.parametrize("content", [b"{}", b'{"later": {"version": 9}}'])
def test_who_says_nothing_that_is_known_here_leaves_nothing(content: bytes) -> None:
    assert decode(content, NOW) == Inheritance(backlogs=[])


@pytest.mark.parametrize("content", [b"", b"[", b"[]", b'{"states": {"cpu": {"phase": "odd"}}}', b"[" * 100_000])
def test_what_is_no_form_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are those of a parser
        decode(content, NOW)


def test_alerts_of_another_version_are_left_out_and_its_clock_is_not_ahead() -> None:
    on = {"phase": "on", "since": NOW + 50, "began_at": NOW + 50, "text": "x", "colour": "red"}
    form = {"states": {"moon": on, "cpu": on, "disk": on}, "began": {"moon": "then", "cpu": "then"}}
    late = {"differs_since": NOW + 9, "sent_at": [NOW + 9, NOW - 1], "samples": [{"at": NOW + 9}]}
    late["told"] = ["moon", "cpu"]
    known = decode(json.dumps(form | late).encode(), NOW).known
    assert known.states == {"cpu": AlertState("on", NOW, NOW, "x")}, "nobody knows when the one of disk began"
    assert known.told == Told(frozenset({"cpu"}), NOW, (NOW - 1,))
    assert not known.samples


def test_form_is_bounded_and_states_are_the_last_to_go() -> None:
    much = "x" * (MOST_BYTES // 4)
    known = Known(deque(samples(2, unhealthy=[much] * 3)), KNOWN.states, KNOWN.began)
    long = Inheritance(known, [Backlog(channel="c")])
    found = passed_on(long)
    assert (len(found.known.samples), len(found.backlogs)) == (0, 1)
    longer = Inheritance(long.known, [Backlog(channel="c", messages=[numbered(1, much)] * 5)])
    assert len(encode(longer)) <= MOST_BYTES
    assert (passed_on(longer).known.states, passed_on(longer).backlogs) == (KNOWN.states, [])


def test_estate_is_read_by_whoever_has_a_descriptor_and_of_another_there_is_nothing() -> None:
    fd = new_estate()
    try:
        write_estate(fd, {"alerts": encode(Inheritance(KNOWN)), "other": b"[1]"})
        parts = read_estate(os.dup(fd))
        assert (decode(parts["alerts"], NOW).known, parts["other"]) == (KNOWN, b"[1]")
        os.truncate(fd, 10)
        assert read_estate(os.dup(fd)) == {}
    finally:
        os.close(fd)
    assert read_estate(-1) == {}


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY], ids=["read", "not-readable"])
def test_estate_is_closed_when_it_was_read_whatever_came_of_it(tmp_path: Path, flags: int) -> None:
    fd = os.open(tmp_path / "estate", flags | os.O_CREAT)
    assert read_estate(fd) == {}
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


# What waits for a channel


class Gate:
    """A channel whose answer comes when it is told to."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.told: list[str] = []
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def __call__(self, _: Channel, message: Message) -> str:
        self.asked.set()
        await self.may_answer.wait()
        if not self.reason:
            self.told.append(message.at)
        return self.reason


def waits_long(_: int) -> float:
    return 3600.0


@pytest.mark.parametrize(("reason", "left"), [("", ["1"]), ("not now", ["0", "1"])])
def test_try_under_way_may_end_and_what_waits_is_told_once_by_the_next(reason: str, left: list[str]) -> None:
    async def scenario() -> None:
        gate = Gate(reason)
        sender = Sender(HOOK, gate, EventLog(None), waits_long)
        sender.put(numbered(0))
        sender.put(numbered(1))
        await gate.asked.wait()
        setting_down = asyncio.create_task(sender.set_down(60.0))
        gate.may_answer.set()
        backlog = await setting_down
        sender.put(numbered(2))  # the test is too late, as nothing is
        assert [message.at for message in backlog.messages] == left
        assert (backlog.tries, backlog.failures) == ((1, 1) if reason else (0, 0))
        sender.close()

        gate.reason = ""
        outbox = Outbox(gate, EventLog(None))
        outbox.inherit([backlog, Backlog(channel="of nobody any more", messages=[numbered(3)])])
        outbox.follow([HOOK])
        await outbox.finish(60.0)
        assert sorted(gate.told) == ["0", "1"]

    asyncio.run(scenario())


def test_try_without_an_answer_is_the_next_ones_and_who_is_not_replaced_goes_on() -> None:
    async def scenario() -> None:
        gate = Gate("")
        outbox = Outbox(gate, EventLog(None))
        outbox.follow([HOOK])
        outbox.put(numbered(0))
        await gate.asked.wait()
        (backlog,) = await outbox.set_down(0.0)
        assert [message.at for message in backlog.messages] == ["0"]
        gate.may_answer.set()
        outbox.take_up()
        await outbox.finish(60.0)
        assert gate.told == ["0"]

    asyncio.run(scenario())


def test_dead_channel_stays_dead_and_more_than_waits_is_not_inherited() -> None:
    async def scenario() -> None:
        gate = Gate("no")
        left = Backlog(
            channel=HOOK.title,
            messages=[numbered(at) for at in range(2 * MOST_WAITING)],
            tries=10 * MOST_TRIES,
            failures=FAILURES,
            reason="Connection refused",
        )
        outbox = Outbox(gate, EventLog(None))
        outbox.inherit([left])
        outbox.follow([HOOK])
        assert outbox.problems() == [(HOOK.title, "Connection refused")]
        (backlog,) = await outbox.set_down(0.0)
        assert [message.at for message in backlog.messages] == [str(at) for at in range(MOST_WAITING, 2 * MOST_WAITING)]
        outbox.close()

    asyncio.run(scenario())
