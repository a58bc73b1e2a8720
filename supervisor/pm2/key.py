"""Owns the form of an entry in the table of PM2's keys. Pure; the user's shell."""

import re
from collections.abc import Collection
from typing import Literal

import msgspec

# same: it does here what it does there. better: the same, without a fault that it has there. different: its purpose is
# met by another rule or in another way. not here: it means nothing; `here` says what to do instead.
Verdict = Literal["same", "better", "different", "not here"]
# What a number without a unit means there. "": it counts, or numbers something.
NumberUnit = Literal["", "milliseconds", "bytes"]


class Pm2Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key that an app may have in a configuration file of PM2's.

    Attributes:
        name: as its documentation writes it; `env_*` stands for every name that begins so.
        there: what it does in PM2, and its default in brackets where that matters.
        verdict: how that compares with what it is here; see `verdict_among`.
        here: what it is here, one sentence; for what is not here: what to do instead.
        setting: the name of our setting that its value is for; empty: none.
        number_unit: of its value there.
        aliases: further names there; besides, each name may be written in camelCase.
        variable: the environment variable of the app that it sets, in place of a setting.
        is_known_there: PM2 knows it; what it does not know it drops without a word.
    """

    name: str
    there: str
    verdict: Verdict
    here: str
    setting: str = ""
    number_unit: NumberUnit = ""
    aliases: tuple[str, ...] = ()
    variable: str = ""
    is_known_there: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Every way to write it there."""
        plain = (self.name, *self.aliases)
        return tuple(dict.fromkeys([*plain, *map(camel_case, plain)]))

    def verdict_among(self, settings: Collection[str]) -> Verdict:
        """Return the verdict where our settings have the names `settings`: what is for none of them is not here."""
        return "not here" if self.setting and self.setting not in settings else self.verdict


class KeySection(msgspec.Struct, frozen=True):
    """Keys that belong together, under a heading."""

    title: str
    keys: tuple[Pm2Key, ...]


def camel_case(name: str) -> str:
    """Return a name as JavaScript writes it: `max_restarts` is `maxRestarts`."""
    return re.sub(r"_([a-z0-9])", lambda found: found.group(1).upper(), name)


def millis(name: str, there: str, verdict: Verdict, here: str, setting: str = "", *aliases: str) -> Pm2Key:
    """Return an entry whose numbers are milliseconds; the arguments are as in Pm2Key."""
    return Pm2Key(
        name=name,
        there=there,
        verdict=verdict,
        here=here,
        setting=setting,
        number_unit="milliseconds",
        aliases=aliases,
    )


def plain(name: str, there: str, verdict: Verdict, here: str, setting: str = "", *aliases: str) -> Pm2Key:
    """Return an entry whose numbers, if any, have no unit; the arguments are as in Pm2Key."""
    return Pm2Key(name=name, there=there, verdict=verdict, here=here, setting=setting, aliases=aliases)


def unknown_there(key: Pm2Key) -> Pm2Key:
    """Return the entry of a key that people write and PM2 does not know."""
    return msgspec.structs.replace(key, is_known_there=False)
