"""Owns what was asked of a configuration file. Pure; the user's shell."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Verb = Literal["start", "reload", "restart"]


class FileOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with a configuration file.

    Attributes:
        verb: what becomes of apps that run as the file says already: start leaves them, reload and restart do it to
            them as well.
        file: as the user named it, `-`: standard input.
        environment: which `env_NAME` is chosen; empty: none; None: that of the last time.
        only: names of the apps that are meant; empty: all, and those that the file had and has no more.
        given: options of the command line, by setting.
        keeps_going: what is good of a file is done although there are errors in it.
        dry_run: nothing is done, only shown.
        wait: only when the workers have lived for `settle`.
        shell: the environment that new workers of running apps inherit, as in /proc/PID/environ; None: as before.
        parallel: how many workers a reload replaces at a time; None: as the app was started.
    """

    verb: Verb
    file: str
    environment: str | None = None
    only: tuple[str, ...] = ()
    given: Mapping[str, Any] = {}
    keeps_going: bool = False
    dry_run: bool = False
    wait: bool = True
    shell: bytes | None = None
    parallel: int | None = None
