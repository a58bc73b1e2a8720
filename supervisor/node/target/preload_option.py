"""Owns the option that loads a file of ours, preload.cjs, into a Node worker before the app.

Runs in the supervisor, and in the user's shell to check a start. The messages of that file are in ../preload.py.
"""

from collections.abc import Iterable
from pathlib import Path

PRELOAD = Path(__file__).with_name("preload.cjs")
# With these a file outside of the app's folder cannot be loaded.
FORBIDDING_OPTIONS = ("--permission", "--experimental-permission", "--experimental-policy")


def preload_options(options: Iterable[str]) -> list[str]:
    """Return the options that load it, for a node with these options."""
    if any(option.partition("=")[0] in FORBIDDING_OPTIONS for option in options):
        return []
    return [f"--require={PRELOAD}"]
