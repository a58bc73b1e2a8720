"""Owns autoscaling.json of an app: how many workers it had, and whether a person said so. The supervisor process.

A start of the app begins with it, also after `save` and `resurrect`, unless the settings ask for another number than
they did then.
"""

from typing import Any

import msgspec

from ..errors import FastlbError
from ..home.paths import AppPaths
from ..home.stored_config import write_atomically
from ..regular_file import read_regular


class Remembered(msgspec.Struct, frozen=True):
    """What is remembered.

    Attributes:
        workers: how many there were.
        pinned: a person has said so, and it does not follow the load.
        asked: the number in the settings then (`instances` of a file).
    """

    workers: int
    pinned: bool
    asked: int


def load_remembered(paths: AppPaths) -> Remembered | None:
    """Return what is remembered; None: nothing, or nothing that can be read."""
    try:
        content: Any = read_regular(paths.autoscaling)
        return msgspec.json.decode(content, type=Remembered)
    except (OSError, msgspec.DecodeError):
        return None


def save_remembered(paths: AppPaths, remembered: Remembered) -> None:
    """Remember it, unless the app is not to be remembered.

    Raises:
        FastlbError: the disk does not take it; the old one is whole.
    """
    if not paths.is_kept:
        return
    try:
        write_atomically(paths.autoscaling, msgspec.json.format(msgspec.json.encode(remembered), indent=1))
    except OSError as error:
        raise FastlbError(f"cannot write {paths.autoscaling}: {error.strerror}") from error
