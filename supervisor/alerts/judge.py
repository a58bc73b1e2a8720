"""Owns when an alert begins and ends. Pure and total; the supervisor process.

    off      ──bad──►  pending  ──bad for so long──►  on
    on       ──good──► ending   ──good for so long──► off

What is not bad any more before its time was never on; what is bad again before it has ended has never been off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..settings.alerting import ALERT_NAMES, AlertName, AlertRules
from .readings import Level, Reading, readings
from .sample import Sample

Phase = Literal["off", "pending", "on", "ending"]
# What has to last before it is said, and before it has ended. The others are counted over a window, or are facts.
LASTING: tuple[AlertName, ...] = ("cpu", "memory", "unhealthy", "disk")


@dataclass(frozen=True)
class AlertState:
    """What is known of one alert.

    Attributes:
        phase: see above.
        since: monotonic seconds since when it has this phase.
        began_at: of one that is on or ending, when it began.
        text: what was bad last.
    """

    phase: Phase = "off"
    since: float = 0.0
    began_at: float = 0.0
    text: str = ""

    @property
    def is_on(self) -> bool:
        """Whether somebody is to know of it."""
        return self.phase in ("on", "ending")


OFF = AlertState()
States = Mapping[AlertName, AlertState]


def judge(states: States, samples: Sequence[Sample], rules: AlertRules) -> dict[AlertName, AlertState]:
    """Return what is known of every alert after the last of `samples`; `states`: what was known before it."""
    now, found = samples[-1].at, readings(samples, rules)
    return {
        name: step(states.get(name, OFF), found[name], rules.lasting if name in LASTING else 0.0, now)
        for name in ALERT_NAMES
    }


def step(state: AlertState, reading: Reading, lasting: float, now: float) -> AlertState:
    """Return the state after a reading, which must have lasted for so many seconds to change what people know."""
    text = reading.text if reading.level == "bad" else state.text
    moved = _moved(replace(state, text=text), reading.level, now)
    has_lasted = now - moved.since >= lasting
    if moved.phase == "pending" and has_lasted:
        return AlertState("on", now, moved.since, moved.text)
    if moved.phase == "ending" and has_lasted:
        return AlertState("off", now, moved.began_at, moved.text)
    return moved


def _moved(state: AlertState, level: Level, now: float) -> AlertState:
    match state.phase, level:
        case "off", "bad":
            return replace(state, phase="pending", since=now)
        case "pending", "good" | "between" | "unknown":
            return replace(state, phase="off", since=now)
        case "on", "good":
            return replace(state, phase="ending", since=now)
        case "ending", "bad" | "between":
            return replace(state, phase="on", since=now)
        case _:
            return state
