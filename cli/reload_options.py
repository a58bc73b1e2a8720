"""Owns `fastlb run --reload`: its options, and which settings an app has that is written while it runs.

Runs in the user's shell. Names are uvicorn's.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
from msgspec.structs import replace

from ..supervisor.errors import UsageError
from ..supervisor.kinds import traits_of
from ..supervisor.settings.app_config import AppConfig
from ..supervisor.settings.declared import check_config, declared_settings
from ..supervisor.settings.watch_words import ON

# What of an app is code; in fork mode anything may be.
CODE: dict[str, tuple[str, ...]] = {
    "python": ("*.py",),
    "node": tuple(f"*.{suffix}" for suffix in ["js", "cjs", "mjs", "jsx", "ts", "cts", "mts", "tsx", "json", "node"]),
}
# A save is one file, or a few at once; whoever looks at the answer shall not wait. Unless something else is given.
QUICK: dict[str, float] = {"watch_delay": 0.05, "settle": 0.0, "kill_timeout": 1.0}
OPTIONS = ("reload", "reload_dir", "reload_include", "reload_exclude")


@dataclass(frozen=True)
class ReloadOptions:
    """What was typed; `directories`, `included`, `excluded`: of --reload-dir, -include and -exclude."""

    is_on: bool
    directories: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def settings(self, config: AppConfig) -> tuple[AppConfig, str]:
        """Return the settings for an app that is written while it runs, and a remark, empty if there is none.

        Raises:
            UsageError: a pattern is none.
        """
        if not self.is_on:
            return config, ""
        defaults = {setting.name: setting.default for setting in declared_settings()}
        quick = {name: value for name, value in QUICK.items() if getattr(config, name) == defaults[name]}
        changed = replace(
            config,
            workers=1,
            watch=self.directories or config.watch or (ON[0], *_app_dir(config)),
            watch_include=self._all_included(config),
            ignore_watch=(*config.ignore_watch, *self.excluded),
            **quick,
        )
        check_config(changed, traits_of(changed))
        more = f"{config.workers} were asked for" if config.workers > 1 else ""
        return changed, f"--reload runs one worker, so that the newest code answers; {more}" if more else ""

    def _all_included(self, config: AppConfig) -> tuple[str, ...]:
        """Where all files count, those that are named are no others."""
        code = (*config.watch_include, *CODE.get(config.kind, ()))
        return tuple(dict.fromkeys((*code, *self.included))) if code else ()


def reload_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options; it gets them as `reloading`."""

    @functools.wraps(command)
    def with_options(**values: Any) -> Any:
        is_on, *rest = (values.pop(name) for name in OPTIONS)
        if not is_on and any(rest):
            raise UsageError("--reload-dir, --reload-include and --reload-exclude are for --reload: give it, too")
        return command(reloading=ReloadOptions(bool(is_on), *rest), **values)

    for option in reversed(_OPTIONS):
        with_options = option(with_options)
    return with_options


def _app_dir(config: AppConfig) -> tuple[str, ...]:
    """Return the directory of the modules, if it is not below the working directory."""
    top = os.path.abspath(config.cwd or ".")
    path = os.path.normpath(os.path.join(top, config.app_dir))
    return () if path == top or path.startswith(top.rstrip("/") + "/") else (path,)


_OPTIONS = (
    click.option("--reload", is_flag=True, help="One worker, started anew whenever code is saved; clients wait."),
    click.option("--reload-dir", multiple=True, metavar="DIR", help="Where code is.  [default: the working directory]"),
    click.option("--reload-include", multiple=True, metavar="PATTERN", help="Files that count as well: '*.html', .env"),
    click.option("--reload-exclude", multiple=True, metavar="PATTERN", help="Files that do not count."),
)
