"""Parts of actions: bounds of texts and files, flame graphs, who waits for an answer."""

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from fastlb.supervisor.actions import call as action_call
from fastlb.supervisor.actions.call import ActionCall, ActionOutcome, PendingActions
from fastlb.supervisor.actions.files import MOST_FILES, ActionFiles
from fastlb.supervisor.actions.triggering import LONGEST_TIMEOUT, lasting
from fastlb.supervisor.control.protocol import TriggerParams
from fastlb.supervisor.errors import FastlbError
from fastlb.supervisor.node.actions import UNSURE, NodeActions
from fastlb.worker import action
from fastlb.worker.actions.flame_graph import flame_graph
from fastlb.worker.actions.profile import MOST_STACKS, Samples
from fastlb.worker.actions.registry import actions_of_this_process
from fastlb.worker.actions.wire import MAX_TEXT_BYTES, bounded_text

DONE = ActionOutcome(True, "done")


@pytest.mark.parametrize("text", ["", "short", "\udc80 of no character"])
def test_text_that_fits_stays(text: str) -> None:
    assert bounded_text(text) == text.encode(errors="backslashreplace").decode()


@pytest.mark.parametrize("character", ["x", "\0", "é", "\U0001f600"])
def test_text_is_cut_by_its_size_as_json(character: str) -> None:
    cut = bounded_text(character * 2_000_000)
    assert cut.endswith("[cut here: it was 2000000 characters long]")
    assert MAX_TEXT_BYTES // 2 < len(msgspec.json.encode(cut)) < MAX_TEXT_BYTES + 100


def test_flame_graph_stacks_calls_and_leaves_out_what_nobody_could_see() -> None:
    samples = Samples()
    samples.note(("main (a.py:1)", "<lambda> & co (a.py:2)"), 750_000)
    samples.note(("main (a.py:1)",), 249_999)
    samples.note(("tiny (a.py:3)",), 1)
    tree = ElementTree.fromstring(flame_graph(samples))
    titles = [title.text for title in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["main (a.py:1): 0.001 s, 100.0 %", "<lambda> & co (a.py:2): 0.001 s, 75.0 %"]
    assert samples.hottest() == "most in <lambda> & co (a.py:2), 75 %"
    assert ElementTree.fromstring(flame_graph(Samples())) is not None
    assert Samples().hottest() == "nothing has run"


def test_samples_are_bounded() -> None:
    samples = Samples()
    for number in range(MOST_STACKS + 5):
        samples.note((str(number),), 1_000_000)
    assert len(samples.nanoseconds) == MOST_STACKS
    assert samples.left_out == 5_000_000
    assert samples.cpu_seconds == pytest.approx((MOST_STACKS + 5) / 1000)


def test_files_are_ours_alone_and_the_newest_stay(tmp_path: Path) -> None:
    files, others = ActionFiles(tmp_path, "shop"), ActionFiles(tmp_path, "shop-action-1")
    theirs = others.create(0, "profile", "svg")
    os.write(theirs.fd, b"x")
    assert theirs.keep() == str(theirs.path)
    kept = []
    for number in range(MOST_FILES + 3):
        file = files.create(number, "../x y", "svg")
        os.write(file.fd, b"x")
        os.utime(file.path, (number, number))
        kept.append(file.keep())
    left = {str(path) for path in tmp_path.iterdir()}
    assert left == {*kept[3:], str(theirs.path)}
    assert all(os.stat(path).st_mode & 0o777 == 0o600 for path in left)
    empty = files.create(0, "profile", "svg")
    assert empty.keep() == ""
    assert not empty.path.exists()
    with pytest.raises(FastlbError, match="cannot create"):
        ActionFiles(tmp_path / "none", "shop").create(0, "profile", "svg")


def run(work: Coroutine[Any, Any, ActionOutcome]) -> ActionOutcome:
    return asyncio.run(work)


def test_who_waits_is_told_once_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action_call, "PATIENCE", 0.01)

    async def ask(*words: str) -> ActionOutcome:
        pending = PendingActions()
        number, waiting = pending.open()
        pending.end(number + 1, DONE)
        for word in words:
            if word == "begun":
                pending.note_begun(number)
            elif word == "ended":
                pending.end(number, DONE)
                pending.end(number, ActionOutcome(False, "a second time"))
            else:
                pending.end_all("gone")
        outcome = await waiting.outcome(0.01, "blocked")
        pending.close(number)
        pending.end(number, DONE)
        return outcome

    assert run(ask()) == ActionOutcome(False, "blocked")
    assert run(ask("begun")) == ActionOutcome(False, "has not answered within 0.01 s")
    assert run(ask("ended")) == DONE
    assert run(ask("begun", "ended")) == DONE
    assert run(ask("gone")) == ActionOutcome(False, "gone")


@pytest.mark.parametrize(
    ("name", "param", "seconds"),
    [
        ("profile", "60", 60),
        ("profile", None, 10),
        ("cpuprofile", "1e9", LONGEST_TIMEOUT),
        ("profile", "-5", 0),
        ("profile", "nan", 0),
        ("profile", "x", 0),
        ("echo", "60", 0),
        ("heapdump", None, 300),
    ],
)
def test_who_asks_for_what_lasts_waits_as_long(name: str, param: str | None, seconds: float) -> None:
    assert lasting(TriggerParams(name, param)) == seconds


def test_actions_are_registered_under_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions_of_this_process, "functions", {})

    @action
    def first() -> None:
        """Do nothing."""

    @action("second-name")
    async def second() -> None:
        """Do nothing."""

    assert actions_of_this_process.functions == {"first": first, "second-name": second}
    for name in ("", "two words", "-x", "x" * 65, "a\nb"):
        with pytest.raises(ValueError, match="cannot name an action"):
            action(name)(first)


class Channel:
    """The channel of a Node worker, to which messages are written."""

    is_written_to = True

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)


def replies(text: str) -> dict[str, object]:
    """Return what PM2's library writes when an action is done: of which, and not of which call."""
    return {"type": "axm:reply", "data": {"return": text, "action_name": "hello"}}


@pytest.mark.parametrize(
    ("texts", "outcome"),
    [
        (["late", "mine"], ActionOutcome(True, "mine")),
        (["whose"], f"has not answered within 0.05 s{UNSURE}whose"),
    ],
)
def test_late_answer_is_not_taken_for_that_of_the_next_call(
    tmp_path: Path, texts: list[str], outcome: ActionOutcome | str
) -> None:
    def call(timeout: float) -> ActionCall:
        return ActionCall("hello", None, timeout, 0, ActionFiles(tmp_path, "app"))

    async def scenario() -> ActionOutcome:
        channel = Channel()
        actions = NodeActions(channel)
        actions.take({"type": "axm:action", "data": {"action_name": "hello"}})
        assert await actions.run(call(0.01)) == ActionOutcome(False, "has not answered within 0.01 s")
        asking = asyncio.create_task(actions.run(call(0.05 if isinstance(outcome, str) else 60.0)))
        while len(channel.lines) < 2:
            await asyncio.sleep(0)
        for text in texts:
            assert actions.take(replies(text))
            assert not asking.done()
        return await asking

    expected = ActionOutcome(False, outcome) if isinstance(outcome, str) else outcome
    assert asyncio.run(scenario()) == expected


def test_calls_that_are_under_way_at_once_are_answered_in_their_order(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        channel = Channel()
        actions = NodeActions(channel)
        actions.take({"type": "axm:action", "data": {"action_name": "hello"}})
        calls = [ActionCall("hello", None, 60.0, 0, ActionFiles(tmp_path, "app")) for _ in range(2)]
        asking = [asyncio.create_task(actions.run(each)) for each in calls]
        while len(channel.lines) < 2:
            await asyncio.sleep(0)
        for text in ("one", "two"):
            actions.take(replies(text))
        return [outcome.text for outcome in await asyncio.gather(*asking)]

    assert asyncio.run(scenario()) == ["one", "two"]
