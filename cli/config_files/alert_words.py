"""Owns the tables of a file that are about alerts, and which settings their keys mean. Pure; the user's shell.

    alerts = {cpu = 80, email = "ops@example.org", for = "2m"}     # in any words
    thresholds: {cpu: 80, memory: 85, restart: 5, response_time: 1000}
    intervals: {health_check: 30000, performance: 60000}
    monitoring: {thresholds: {...}, alerts: {...}, intervals: {...}}
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ...supervisor.settings.declared import DeclaredSetting
from ...supervisor.suggestions import did_you_mean
from .places import KeyPath, Place
from .problems import Problem, note
from .values import settings_by_name, shown

ALERTS, MONITORING = "alerts", "monitoring"
PREFIX = "alert_"
# Keys whose setting has another name than PREFIX and the key; empty: it means nothing here.
OTHER_NAMES: dict[str, dict[str, str]] = {
    ALERTS: {"restart": "alert_restarts"},
    "thresholds": {"restart": "alert_restarts"},
    "intervals": {"health_check": "alert_interval", "performance": "alert_for", "log_analysis": ""},
}
TABLES = (*OTHER_NAMES, MONITORING)


class AlertWord(msgspec.Struct, frozen=True):
    """One key of such a table.

    Attributes:
        path: of the key, below the app.
        setting: that it means; None: nothing looks at it.
        value: as the file has it.
    """

    path: KeyPath
    setting: DeclaredSetting | None
    value: Any


def is_alert_table(key: str, value: Any) -> bool:
    """Whether a key of an app is such a table; `alerts` may be true or false as well."""
    return key in TABLES and (key != ALERTS or isinstance(value, Mapping))


def alert_words(key: str, value: Any) -> Iterator[AlertWord]:
    """Yield what the keys of a table mean; that it is there at all turns alerts on.

    Raises:
        ValueError: it is no table, or a key means nothing; the message names it.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{shown(value)} is no object")
    if key == MONITORING:
        for name, inner in value.items():
            if name not in OTHER_NAMES:
                raise ValueError(f"there is no {name!r} in it{did_you_mean(name, OTHER_NAMES)}")
            for word in alert_words(name, inner):
                yield msgspec.structs.replace(word, path=(key, *word.path))
        return
    settings = settings_by_name()
    yield AlertWord((key,), settings[ALERTS], True)
    for name, inner in value.items():
        if inner is not None:
            yield AlertWord((key, name), _meant(key, name, settings), inner)


def no_effect(place: Place, word: AlertWord) -> Problem:
    """Return the note for a key that nothing looks at."""
    return note(place, f"{word.path[-1]} has no effect here: nothing of ours reads what the logs say")


def _meant(table: str, name: str, settings: Mapping[str, DeclaredSetting]) -> DeclaredSetting | None:
    names = {known.removeprefix(PREFIX): known for known in settings if known.startswith(PREFIX)} | OTHER_NAMES[table]
    known = names if table != "intervals" else OTHER_NAMES[table]
    if name not in known:
        raise ValueError(f"there is no {name!r} in it{did_you_mean(name, known)}")
    return settings[known[name]] if known[name] else None
