"""Owns stopped-workers.json of an app: which of its workers were stopped alone, by their numbers.

Written by the supervisor, and with the other files of the app by whoever brings back what was saved; read by the shell,
which says at each start who stays stopped. The file is gone when nobody is.
"""

from collections.abc import Collection
from typing import Any

import msgspec

from ..errors import FastlbError
from ..regular_file import read_regular
from .paths import AppPaths
from .stored_config import write_atomically


def load_stopped(paths: AppPaths) -> list[int]:
    """Return the numbers of the workers that were stopped alone; none where the file cannot be read."""
    try:
        return stopped_in(msgspec.json.decode(read_regular(paths.stopped_workers)))
    except (OSError, msgspec.DecodeError):
        return []


def stopped_in(content: Any) -> list[int]:
    """Return the numbers that the content of such a file has; none where it is another."""
    is_one = isinstance(content, list) and all(type(number) is int and number >= 0 for number in content)
    return sorted(set(content)) if is_one else []


def save_stopped(paths: AppPaths, numbers: Collection[int]) -> None:
    """Write down that these workers are stopped, unless the app is one that nobody remembers.

    Raises:
        FastlbError: the disk does not take it; the old one is whole.
    """
    if not paths.is_kept and not paths.config.exists():
        return
    path = paths.stopped_workers
    try:
        if numbers:
            write_atomically(path, msgspec.json.encode(sorted(numbers)))
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise FastlbError(f"cannot write {path}: {error.strerror}") from error
