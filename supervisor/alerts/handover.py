"""Owns what is known of the alerts of an app, and the form in which a supervisor leaves it to the one that takes its
place. Pure; the supervisor process.

The clock of both is the same one: monotonic seconds need no translation. Supervisors of other versions read the form:
names stay, new ones have a default, and alerts that are not known here are left out.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from ..settings.alerting import ALERT_NAMES, MOST_SAMPLES, AlertName
from .judge import AlertState
from .message import Message
from .sample import Sample
from .telling import Told

MOST_BYTES = 8 << 20


@dataclass
class Known:
    """What is known of the alerts of an app.

    Attributes:
        samples: the latest last.
        states: of each alert.
        began: when each that is on began, UTC, as in events.
        told: what those who are told know.
    """

    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=MOST_SAMPLES))
    states: dict[AlertName, AlertState] = field(default_factory=dict)
    began: dict[AlertName, str] = field(default_factory=dict)
    told: Told = field(default_factory=Told)

    @property
    def on(self) -> set[AlertName]:
        """Names of the alerts that are on."""
        return {name for name, state in self.states.items() if state.is_on}


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for one channel.

    Attributes:
        channel: its title.
        messages: the oldest first.
        tries: how often the first of them was tried.
        failures, reason: how often in a row nothing was taken, and why last.
    """

    channel: str
    messages: list[Message] = []
    tries: int = 0
    failures: int = 0
    reason: str = ""


class _Handed(msgspec.Struct, frozen=True, kw_only=True):
    """The form."""

    samples: list[Sample] = []
    states: dict[str, AlertState] = {}
    began: dict[str, str] = {}
    told: list[str] = []
    differs_since: float | None = None
    sent_at: list[float] = []
    backlogs: list[Backlog] = []
    silent_until: float | None = None


@dataclass(frozen=True)
class Inheritance:
    """What a predecessor has left. `silent_until`: seconds since the epoch; None: it did not say."""

    known: Known = field(default_factory=Known)
    backlogs: Sequence[Backlog] = ()
    silent_until: float | None = None


def encode(left: Inheritance) -> bytes:
    """Return the form of what is left, a JSON object of at most MOST_BYTES.

    Where it is more the windows of counters go first, which begin anew, then what waits for channels.
    """
    known, told = left.known, left.known.told
    handed = _Handed(
        samples=list(known.samples),
        states={str(name): state for name, state in known.states.items()},
        began={str(name): at for name, at in known.began.items()},
        told=sorted(told.names),
        differs_since=told.differs_since,
        sent_at=list(told.sent_at),
        backlogs=list(left.backlogs),
        silent_until=left.silent_until,
    )
    without: list[dict[str, list[object]]] = [{}, {"samples": []}, {"samples": [], "backlogs": []}]
    forms = (msgspec.json.encode(msgspec.structs.replace(handed, **less)) for less in without)
    return next((form for form in forms if len(form) <= MOST_BYTES), b"{}")


def decode(content: bytes, now: float) -> Inheritance:
    """Return what was left; nothing that it says is later than `now`, in monotonic seconds.

    Raises:
        ValueError: it is not the form.
    """
    try:
        handed = msgspec.json.decode(content, type=_Handed)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    states = {
        name: replace(state, since=min(state.since, now), began_at=min(state.began_at, now))
        for name in ALERT_NAMES
        if (state := handed.states.get(name)) and (not state.is_on or name in handed.began)
    }
    since = handed.differs_since
    known = Known(
        samples=deque((sample for sample in handed.samples if sample.at <= now), maxlen=MOST_SAMPLES),
        states=states,
        began={name: handed.began[name] for name in states if name in handed.began},
        told=Told(
            names=frozenset(name for name in ALERT_NAMES if name in handed.told),
            differs_since=None if since is None else min(since, now),
            sent_at=tuple(sorted(at for at in handed.sent_at if at <= now)),
        ),
    )
    return Inheritance(known, handed.backlogs, handed.silent_until)
