"""Owns the list of the kinds of workers. Any process; light: a kind's runtime is imported by the supervisor alone.

A new kind is a folder next to python/, node/ and fork/, and a line here.
"""

from .fork.traits import FORK_TRAITS
from .node.traits import NODE_TRAITS
from .python.traits import PYTHON_TRAITS
from .settings.app_config import AppConfig
from .settings.traits import WorkerTraits

KINDS: dict[str, WorkerTraits] = {traits.kind: traits for traits in (PYTHON_TRAITS, NODE_TRAITS, FORK_TRAITS)}


def traits_of(config: AppConfig) -> WorkerTraits:
    """Return what is particular to the workers of an app."""
    return KINDS[config.kind]


def effective_bind(config: AppConfig) -> tuple[str, ...]:
    """Return where an app listens before any worker asks: `bind`, or the default of its kind."""
    return config.bind or traits_of(config).default_bind
