"""Owns config.json of an app: how it was started last. Written by the supervisor, read by the user's shell.

A crash must never leave half a file.
"""

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from ..errors import FastlbError
from ..regular_file import read_regular
from ..settings.app_config import AppConfig
from .paths import AppPaths

# What a setting was called by a release that may have written the file.
FORMER_NAMES = {"reload_settle": "settle"}
# Its pause before a restart grew, and the fixed one did not exist: it knew no setting of the second name.
FORMER_GROWING_DELAY = ("restart_delay", "exp_backoff_restart_delay")


@contextlib.contextmanager
def _temporary_beside(path: Path) -> Iterator[tuple[int, Path]]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield fd, temporary
    finally:
        os.close(fd)
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` (mode 0600) by `content` at once: a crash leaves the old file or the new one, whole.

    Raises:
        OSError: nothing was changed.
    """
    with _temporary_beside(path) as (fd, temporary):
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
        temporary.rename(path)
    directory_fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory_fd)
    finally:
        os.close(directory_fd)


def save_config(paths: AppPaths, config: AppConfig) -> None:
    """Remember how the app was started, for `restart` after a `stop`, unless it is not to be kept.

    Raises:
        FastlbError: the disk does not take it; the old one is whole.
    """
    if not paths.is_kept:
        return
    try:
        write_atomically(paths.config, msgspec.json.format(msgspec.json.encode(config), indent=1))
    except OSError as error:
        raise FastlbError(f"cannot write {paths.config}: {error.strerror}") from error


def load_config(paths: AppPaths) -> AppConfig:
    """How the app was started last.

    Raises:
        FastlbError: there is none, or it is not readable.
    """
    try:
        return msgspec.convert(with_present_names(_decoded(read_regular(paths.config))), AppConfig)
    except OSError as error:
        hint = "start the app with its target" if error.errno == errno.ENOENT else "check its mode and owner"
        raise FastlbError(f"cannot read {paths.config}: {error.strerror}: {hint}") from error
    except msgspec.DecodeError as error:
        raise FastlbError(f"{paths.config} is damaged ({error}): start the app with its target") from error


def with_present_names(stored: Mapping[str, object]) -> dict[str, object]:
    """Return stored settings by the names that they have today."""
    settings = dict(stored)
    former, present = FORMER_GROWING_DELAY
    if former in settings and present not in settings:
        settings[present] = settings.pop(former)
    return {FORMER_NAMES.get(name, name): value for name, value in settings.items()}


def _decoded(content: bytes) -> dict[str, object]:
    """Raises msgspec.DecodeError: it is no object."""
    return msgspec.json.decode(content, type=dict[str, object])
