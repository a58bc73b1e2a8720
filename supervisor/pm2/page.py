"""Owns docs/pm2-keys.md: written from the table of PM2's keys and our settings, never by hand.

python -m fastlb.supervisor.pm2.page > docs/pm2-keys.md
"""

import sys

from ..settings.declared import declared_settings
from .key import KeySection, Pm2Key
from .keys import FILE_KEYS, KEYS

INTRODUCTION = """\
# PM2's keys

Every key that an app may have in a configuration file of PM2's (7.0.3), what it does there, and what it is here.
Those that guides name and PM2 does not know, which it drops without a word, are marked with \\*. `make docs` writes
this page from `supervisor/pm2/keys.py` and the declaration of the settings; a test fails when it is stale, or a key
is missing.

Where a time is meant, numbers are milliseconds there and seconds here; with a unit (`5s`) they are the same. In square
brackets is the default. Every key may also be written in camelCase there.
"""
HEAD = "| there | what it does | | here | what it is |\n|---|---|---|---|---|"


def page() -> str:
    """Return the whole page."""
    of_a_file = KeySection("Beside the apps", FILE_KEYS)
    return "\n".join([INTRODUCTION, _counts(), *map(_section, (*KEYS, of_a_file))])


def _counts() -> str:
    names = _setting_names()
    verdicts = [key.verdict_among(names) for section in KEYS for key in section.keys]
    counts = {word: verdicts.count(word) for word in ("same", "better", "different", "not here")}
    return f"Of {len(verdicts)} keys: {', '.join(f'{count} {word}' for word, count in counts.items())}.\n"


def _section(section: KeySection) -> str:
    return "\n".join([f"## {section.title}", "", HEAD, *(_row(key) for key in section.keys), ""])


def _row(key: Pm2Key) -> str:
    names = ", ".join(f"`{name}`" for name in (key.name, *key.aliases))
    verdict = key.verdict_among(_setting_names())
    mark = "" if key.is_known_there else " \\*"
    here = key.here if verdict == key.verdict else "Leave it out."
    return f"| {names}{mark} | {key.there} | {verdict} | {_spelled_here(key)} | {here} |"


def _spelled_here(key: Pm2Key) -> str:
    if key.setting in ("target", "args"):
        return {"target": "`TARGET`", "args": "`-- ARGS`"}[key.setting]
    return f"`--{key.setting.replace('_', '-')}`" if key.setting in _setting_names() else ""


def _setting_names() -> set[str]:
    return {setting.name for setting in declared_settings()}


if __name__ == "__main__":
    sys.stdout.write(page())
