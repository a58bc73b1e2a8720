"""Owns the alerts of an app while it runs: looks again and again, and has those told who want to know.

Runs in the supervisor process, on its event loop, by a timer of its own. It changes nothing of the app, and no error
of it does: the next look may find better times.
"""

import asyncio
import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..control.protocol import AlertEntry, AlertsReport, AppEntry, AppMetrics, ChannelEntry
from ..output import wall_clock
from ..output.event_log import EventLog
from ..output.event_record import format_time
from ..settings.alerting import AlertName, AlertRules, alert_rules
from ..settings.app_config import AppConfig
from .channels.channel import channels_of
from .handover import Inheritance, Known, decode, encode
from .judge import AlertState, judge
from .message import Alert, Message
from .outbox import Outbox
from .sampling import Surroundings, sample_of
from .silence import Silence
from .telling import Tell, due_at, tell

HOST = os.uname().nodename
# What these operations have done to the app is what a failed reload leaves.
RENEWING = ("reload", "restart", "canary")
# For a try that is under way when another supervisor takes over; what takes longer that one tries again.
LAST_TRY_SECONDS = 5.0


@dataclass(frozen=True)
class WatchParts:
    """What an AlertWatch works with; all borrowed.

    Attributes:
        config: returns the settings of the newest workers.
        metrics: returns all that is counted of the app.
        failure: returns why the last operation failed; "": it did not.
        surroundings: of the app.
        outbox: tells.
        silence: of the app.
        log: is told what begins and ends.
    """

    config: Callable[[], AppConfig]
    metrics: Callable[[], AppMetrics]
    failure: Callable[[], str]
    surroundings: Surroundings
    outbox: Outbox
    silence: Silence
    log: EventLog


class AlertWatch:
    """Watches one app. Make it on the event loop."""

    def __init__(self, parts: WatchParts) -> None:
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = True
        self._is_handed_over = False
        self._known = Known()
        self._next_at = 0.0
        self._running = ""
        self._reload_failure = ""

    def begin(self) -> None:
        """Look from here on, if the settings say so."""
        self._is_closed = False
        self._plan(0.0)

    def close(self) -> None:
        """Look no more, and give up what waits to be told."""
        self._is_closed = True
        self._is_handed_over = False
        if self._timer:
            self._timer.cancel()
        self._parts.outbox.close()

    async def hand_over(self) -> bytes:
        """Look no more and tell nobody until `go_on`; return what a successor is to know, as `inherit` takes it."""
        self._is_handed_over = not self._is_closed
        self._is_closed = True
        if self._timer:
            self._timer.cancel()
        backlogs = await self._parts.outbox.set_down(LAST_TRY_SECONDS)
        return encode(Inheritance(self._known, backlogs, self._parts.silence.until))

    def go_on(self) -> None:
        """Go on if no successor has taken over what was handed over, and nobody ends the app."""
        if self._is_handed_over:
            self._is_handed_over = False
            self._parts.outbox.take_up()
            self.begin()

    def inherit(self, content: bytes) -> None:
        """Know from here on what a predecessor has known. What cannot be read is not known, as in a new app."""
        try:
            left = decode(content, time.monotonic())
        except ValueError:
            self._parts.log.error("look_failed", traceback=traceback.format_exc())
            return
        self._known = left.known
        self._parts.outbox.inherit(left.backlogs)
        self._parts.silence.inherit(left.silent_until)

    async def finish(self, seconds: float) -> None:
        """Look once more, tell at once what is on, and wait so long for it to be taken: the app ends by itself."""
        rules = alert_rules(self._parts.config())
        if rules is None or self._is_closed:
            return
        now = time.monotonic()
        self._take_sample(rules, now)
        self._tell(replace(rules, group_wait=0.0), now)
        await self._parts.outbox.finish(seconds)

    def note_operations(self, entry: AppEntry) -> None:
        """Take note of what is done to the app now: settings may be others, and what was done may have failed."""
        if self._running in RENEWING:
            failure = self._parts.failure()
            self._reload_failure = failure if failure.startswith(RENEWING) else ""
        running = [operation.operation for operation in entry.operations if operation.state == "runs"]
        self._running = running[0] if running else ""
        if not self._is_closed:
            self._plan(0.0)

    def entries(self) -> list[AlertEntry]:
        """Return the alerts that are on, the oldest first."""
        on = [(name, state) for name, state in self._known.states.items() if state.is_on]
        on.sort(key=lambda one: one[1].began_at)
        return [AlertEntry(name, self._known.began[name], state.text) for name, state in on]

    def report(self, channels: Sequence[tuple[str, str]] | None = None) -> AlertsReport:
        """Return what is on, who is told, and until when nobody is.

        `channels`: the title of each, and why it took nothing; None: as far as it is known.
        """
        told = self._parts.outbox.problems() if channels is None else channels
        silence = self._parts.silence
        return AlertsReport(
            is_watched=alert_rules(self._parts.config()) is not None,
            on=self.entries(),
            channels=[ChannelEntry(title, problem) for title, problem in told],
            silent_until=format_time(silence.until) if silence.is_on else "",
        )

    async def test(self) -> AlertsReport:
        """Tell everybody that nothing is wrong; return who has taken it."""
        self._parts.outbox.follow(channels_of(self._parts.config(), HOST))
        return self.report(await self._parts.outbox.test(self._message(Tell(), is_test=True)))

    def silence(self, seconds: float) -> AlertsReport:
        """Tell nobody for so long; 0: tell again.

        Raises:
            FastlbError: it could not be written down.
        """
        self._parts.silence.begin(seconds)
        self._parts.log.info("alerts_silenced", seconds=seconds)
        if not self._is_closed:
            self._plan(0.0)
        return self.report()

    def _plan(self, delay: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(max(delay, 0.0), self._look)

    def _look(self) -> None:
        rules = alert_rules(self._parts.config())
        if rules is None:
            self._known, self._next_at = Known(), 0.0
            self._parts.outbox.follow([])
            return
        now = time.monotonic()
        try:
            if now >= self._next_at:
                self._next_at = now + rules.sample_interval
                self._take_sample(rules, now)
            self._tell(rules, now)
        except Exception:  # noqa: BLE001 - the next look may find better times
            self._parts.log.error("look_failed", traceback=traceback.format_exc())
        self._plan(min(self._next_at, due_at(self._known.told, rules)) - now)

    def _take_sample(self, rules: AlertRules, now: float) -> None:
        self._parts.outbox.follow(channels_of(self._parts.config(), HOST))
        dead = [f"{title}: {problem}" for title, problem in self._parts.outbox.problems() if problem]
        around = replace(
            self._parts.surroundings.look(), reload_failure=self._reload_failure, dead_channels=dead
        )
        known, samples = self._known, self._known.samples
        samples.append(sample_of(self._parts.metrics(), around, now))
        while len(samples) > 1 and samples[1].at <= now - rules.longest_window:
            samples.popleft()
        before, known.states = known.states, judge(known.states, list(samples), rules)
        for name, state in known.states.items():
            was_on = name in before and before[name].is_on
            if state.is_on is not was_on:
                self._report(name, state)

    def _report(self, name: AlertName, state: AlertState) -> None:
        if state.is_on:
            self._known.began[name] = format_time(wall_clock.now())
            self._parts.log.warning("alert_begun", alert=name, reason=state.text)
        else:
            self._parts.log.info("alert_ended", alert=name, reason=state.text)

    def _tell(self, rules: AlertRules, now: float) -> None:
        known, is_silent = self._known, self._parts.silence.is_on
        known.told, found = tell(known.told, known.on, rules, now, is_silent=is_silent)
        if found.begun or found.ended:
            self._parts.outbox.put(self._message(found))

    def _message(self, found: Tell, *, is_test: bool = False) -> Message:
        config = self._parts.config()
        return Message(
            app=config.name,
            host=HOST,
            at=format_time(wall_clock.now()),
            begun=[self._alert(name) for name in found.begun],
            ended=[self._alert(name) for name in found.ended],
            on=[entry.name for entry in self.entries()],
            is_test=is_test,
            sms=list(config.alert_sms),
        )

    def _alert(self, name: AlertName) -> Alert:
        return Alert(name, self._known.began[name], self._known.states[name].text)
