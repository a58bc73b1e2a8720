"""Owns when somebody is told of alerts, and of which: grouped, at a bounded rate, not while it is silent. Pure.

The supervisor process. What those who are told believe is compared with what is so. Of what begins and ends while a
message waits nobody hears, and what is still on when a silence ends is told then.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from ..settings.alerting import AlertName, AlertRules

HOUR = 3600.0
Names = frozenset[AlertName]


@dataclass(frozen=True)
class Told:
    """What those who are told know.

    Attributes:
        names: alerts that they believe to be on.
        differs_since: monotonic seconds since when something else is so; None: nothing else is.
        sent_at: when they were told within the last hour, the oldest first.
    """

    names: Names = frozenset()
    differs_since: float | None = None
    sent_at: tuple[float, ...] = ()


@dataclass(frozen=True)
class Tell:
    """What is to be told now. `begun`, `ended`: names of alerts."""

    begun: tuple[AlertName, ...] = ()
    ended: tuple[AlertName, ...] = ()


def tell(
    told: Told, on: AbstractSet[AlertName], rules: AlertRules, now: float, *, is_silent: bool
) -> tuple[Told, Tell]:
    """Return what they know afterwards, and what they are to be told; nothing: both are empty.

    Args:
        told: what they know.
        on: the alerts that are on.
        rules: how long a message waits for more, and how many there may be.
        now: monotonic seconds.
        is_silent: a person wants nobody to be told.
    """
    if on == told.names or is_silent:
        return replace(told, differs_since=None), Tell()
    since = now if told.differs_since is None else told.differs_since
    recent = tuple(at for at in told.sent_at if at > now - HOUR)
    if now < due_at(Told(told.names, since, recent), rules):
        return replace(told, differs_since=since, sent_at=recent), Tell()
    begun, ended = sorted(on - told.names), sorted(told.names - on)
    return Told(frozenset(on), None, (*recent, now)), Tell(tuple(begun), tuple(ended))


def due_at(told: Told, rules: AlertRules) -> float:
    """Return when the message that waits may go, in monotonic seconds; infinite: none waits."""
    if told.differs_since is None:
        return float("inf")
    grouped = told.differs_since + rules.group_wait
    most = rules.most_per_hour
    return grouped if len(told.sent_at) < most else max(grouped, told.sent_at[-most] + HOUR)
