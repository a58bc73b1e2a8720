"""Owns what a reload or restart may bring besides new code. Pure; the supervisor process."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..settings.app_config import AppConfig


@dataclass(frozen=True)
class Change:
    """What the next generation is to have.

    Attributes:
        config: all its settings; None: what is wanted already.
        inherited: the environment that it inherits, before the settings add to it; None: the same as before.
    """

    config: AppConfig | None = None
    inherited: Mapping[str, str] | None = None


NO_CHANGE = Change()
