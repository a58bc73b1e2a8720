"""Owns docs/configuration.md: written from the declaration of the settings, never by hand.

python -m fastlb.supervisor.settings.reference > docs/configuration.md
"""

import sys

import msgspec

from .declared import DeclaredSetting, declared_settings, format_setting, kind_title
from .variables import option_variable, option_variables

INTRODUCTION = """\
# Configuration

Every setting of an app is an option of `fastlb start` and `fastlb run`, and an environment variable
([how they are read](environment.md)). `make docs` writes this page from
their declaration in `supervisor/settings/app_config.py`; a test fails when it is stale.

Durations are written `3s`, `1m30s`, `250ms`, `2h`, or as a number of seconds. On the command line a number above
600 needs its unit, as it may be meant in milliseconds. Sizes are written `500M`, `1.5G`, `64K`, or as a number of bytes
(K, M and G are powers of 1024).

To change a setting of an app that runs: `fastlb set NAME max_memory_restart=500M env.LOG=debug`, then `fastlb reload
NAME`, which loses no request. A few change with a stop and a start alone, which is said below: `fastlb stop NAME`, then
`fastlb start NAME` with the option. What is not given stays as it was.
"""


def reference() -> str:
    """Return the whole page."""
    sections = dict.fromkeys(setting.about.section for setting in declared_settings())
    return "\n".join([INTRODUCTION, *(_section(title) for title in sections)])


def _section(title: str) -> str:
    members = [setting for setting in declared_settings() if setting.about.section == title]
    return "\n".join([f"## {title}", "", *(_entry(setting) for setting in members)])


def _entry(setting: DeclaredSetting) -> str:
    facts = [f"- {name}: {value}" for name, value in _facts(setting).items() if value]
    return "\n".join([f"### {_spelling(setting)}", "", setting.about.help, "", *facts, ""])


def _spelling(setting: DeclaredSetting) -> str:
    if setting.default is msgspec.NODEFAULT and setting.name == "target":
        return "`TARGET`"
    if setting.name == "args":
        return "`-- ARGS`"
    if setting.is_flag:
        return f"`{setting.option}`, `{setting.option.replace('--', '--no-', 1)}`"
    flags = [*setting.about.flags, *(f"--{value}" for value in setting.about.shorthands)]
    spelled = [f"`{flag}`" for flag in flags] + [f"`{setting.option} {value_name(setting)}`"]
    return ", ".join(spelled)


def _facts(setting: DeclaredSetting) -> dict[str, str]:
    about = setting.about
    aliases = ", ".join(f"`{alias}`" for alias in about.aliases)
    return {
        "values": ", ".join(f"`{choice}`" for choice in setting.choices),
        "default": f"`{text}`" if (text := default_text(setting)) else "",
        "only for": " and ".join(f"{title} apps" for title in _titles(setting)),
        "may be given several times": "yes" if about.repeatable and setting.name != "args" else "",
        "elsewhere called": aliases,
        "environment": ", ".join(f"`{name}`" for name in _variables(setting)),
        "changes with": "a stop and a start" if setting.needs_start else "",
    }


def _titles(setting: DeclaredSetting) -> list[str]:
    """Return the kinds of apps that `setting` is for."""
    about = setting.about
    return [name.upper() for name in about.interfaces] or [kind_title(kind) for kind in about.kinds]


def _variables(setting: DeclaredSetting) -> tuple[str, ...]:
    own = option_variable(setting)
    return (own, *setting.about.variables) if own in option_variables() else ()


def value_name(setting: DeclaredSetting) -> str:
    """Return how the value is called in help and reference: `DURATION`, `N|max`, `TEXT`."""
    if setting.choices:
        return "CHOICE"
    return setting.about.metavar or ("N" if setting.type is int else "TEXT")


def default_text(setting: DeclaredSetting) -> str:
    """Return the default as a user would type it; empty when there is none to speak of."""
    return (
        "" if setting.default in (msgspec.NODEFAULT, "", (), {}) else format_setting(setting, setting.default)
    )


if __name__ == "__main__":
    sys.stdout.write(reference())
