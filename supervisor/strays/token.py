"""Owns the variable by which a process is known to have been started by a certain worker's process, and below it.

Any process; light: a shell imports it. Every process inherits it from the one that starts it, wherever it moves in
the tree of processes; one that is started without it is none of the app's.
"""

import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from ..home.paths import AppPaths

VARIABLE = "FASTLB_PROCESS"
APP_DIGITS = 16
RUN_BYTES = 6


@dataclass(frozen=True)
class RunTokens:
    """The values of the variable in one run of a supervisor: APP.RUN.NUMBER.

    Attributes:
        app: of this app in this home, the same in every run.
        run: of one supervisor process; empty: of none.
    """

    app: str
    run: str

    def environment(self, number: int) -> dict[str, str]:
        """Return what the process of incarnation `number` is told."""
        return {VARIABLE: f"{self.app}.{self.run}.{number}"}

    def is_of(self, value: str, number: int) -> bool:
        """Whether a value is that of incarnation `number` of this run."""
        return value == f"{self.app}.{self.run}.{number}"

    def is_left_over(self, value: str) -> bool:
        """Whether a value is of the same app, and not of this run."""
        app, _, rest = value.partition(".")
        return app == self.app and rest.partition(".")[0] != self.run


def new_run(paths: AppPaths) -> RunTokens:
    """Return the tokens of a supervisor that begins."""
    return RunTokens(_app_token(paths), secrets.token_hex(RUN_BYTES))


def no_run(paths: AppPaths) -> RunTokens:
    """Return the tokens of an app that no supervisor runs: every value of it is left over."""
    return RunTokens(_app_token(paths), "")


def without_token(environ: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of `environ` for a process that is to outlive the worker that starts it."""
    return {name: value for name, value in environ.items() if name != VARIABLE}


def _app_token(paths: AppPaths) -> str:
    identity = os.fsencode(paths.home) + b"\0" + paths.name.encode()
    return hashlib.sha256(identity).hexdigest()[:APP_DIGITS]
