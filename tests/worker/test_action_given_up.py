"""An action that is given up: its coroutine is cancelled, as any task is, and may clean up."""

import asyncio
import threading
import time

import pytest
from fastlb.worker.actions.registry import actions_of_this_process
from fastlb.worker.actions.running import ActionRunner
from fastlb.worker.actions.wire import ActionAnswer, ActionRequest

from tests.support.waiting import scaled


def test_coroutine_is_cancelled_and_may_await_while_it_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    answers: list[ActionAnswer] = []

    async def run() -> None:
        ended, answered = asyncio.Event(), threading.Event()

        async def action() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise
            finally:
                await asyncio.sleep(0)
                seen.append("cleaned up")
                ended.set()

        def answer(given: ActionAnswer) -> None:
            answers.append(given)
            answered.set()

        monkeypatch.setattr(actions_of_this_process, "functions", {"wait": action})
        monkeypatch.setattr(actions_of_this_process, "loop", asyncio.get_running_loop())
        request = ActionRequest(1, "wait", None, begin_by=time.monotonic() + scaled(20), timeout=0.05)
        ActionRunner(answer).start(request, None)
        async with asyncio.timeout(scaled(10)):
            await ended.wait()
        assert await asyncio.to_thread(answered.wait, scaled(10))

    asyncio.run(run())
    assert seen == ["cancelled", "cleaned up"]
    assert [answer.text for answer in answers] == ["it was given up after 0.05 s"]
