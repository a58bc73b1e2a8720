"""Owns saved-apps.json and the one before it: which apps there were, how each was started, and which of them ran.

Written and read by the user's shell. Only what was declared is in it: the settings of each app, never an environment. A
crash must never leave half a file; a file that cannot be read must not hide the one before it.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..errors import FastlbError
from ..regular_file import read_regular
from ..settings.app_config import AppConfig
from .app_lock import is_running
from .paths import AppPaths
from .stored_config import with_present_names, write_atomically

FILE_NAME = "saved-apps.json"
FORMER_FILE_NAME = "saved-apps.json.bak"
VERSION = 1


class SavedApp(msgspec.Struct, frozen=True):
    """One app.

    Attributes:
        name: of the app.
        is_running: whether it ran.
        settings: as config.json has them.
        besides: other files of its directory, such as where its settings come from, by their names.
    """

    name: str
    is_running: bool
    settings: dict[str, Any]
    besides: dict[str, Any] = {}


class _Saved(msgspec.Struct):
    version: int
    apps: list[SavedApp]


class SavedSet(msgspec.Struct, frozen=True):
    """The apps of a file, and what is to be said of how they were read: empty if there is nothing."""

    apps: list[SavedApp]
    remark: str = ""


def save_apps(home: Path, names: Sequence[str]) -> list[SavedApp]:
    """Write down the apps `names`, those that are remembered; keep the file of before as a backup. Return them.

    Raises:
        FastlbError: the disk does not take it, and the file of before is whole; or settings cannot be read.
    """
    apps = [_saved(AppPaths(home, name)) for name in names if AppPaths(home, name).config.exists()]
    content = msgspec.json.format(msgspec.json.encode(_Saved(VERSION, apps)), indent=1)
    path = home / FILE_NAME
    try:
        if _decoded(path):  # a damaged file must not take the place of a whole backup
            write_atomically(home / FORMER_FILE_NAME, read_regular(path))
    except (OSError, FastlbError):
        pass
    try:
        write_atomically(path, content)
    except OSError as error:
        raise FastlbError(f"cannot write {path}: {error.strerror}") from error
    return apps


def read_saved(home: Path) -> SavedSet:
    """Return what was saved last; if that cannot be read, what was saved before.

    Raises:
        FastlbError: neither can be read; the message says why.
    """
    path = home / FILE_NAME
    if not path.exists() and not (home / FORMER_FILE_NAME).exists():
        raise FastlbError("nothing was saved: `fastlb save` writes down what runs")
    try:
        return SavedSet(_decoded(path))
    except FastlbError as error:
        try:
            former = _decoded(home / FORMER_FILE_NAME)
        except FastlbError:
            raise error from None
        return SavedSet(former, f"{error.message}: this is what was saved before")


def forget_saved(home: Path) -> bool:
    """Remove what was saved, and its backup; return whether there was anything.

    Raises:
        FastlbError: it cannot be removed.
    """
    there = [path for path in (home / FILE_NAME, home / FORMER_FILE_NAME) if path.exists()]
    for path in there:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise FastlbError(f"cannot remove {path}: {error.strerror}") from error
    return bool(there)


def config_of(app: SavedApp) -> tuple[AppConfig, list[str]]:
    """Return the settings of a saved app, and the names of those that this release does not know, which are left out.

    Raises:
        FastlbError: a value makes no sense.
    """
    settings = with_present_names(app.settings)
    strange = sorted(set(settings) - set(AppConfig.__struct_fields__))
    known = {name: value for name, value in settings.items() if name not in strange}
    try:
        return msgspec.convert(known, AppConfig), strange
    except msgspec.ValidationError as error:
        raise FastlbError(f"{app.name}: what was saved makes no sense: {error}") from error


def _saved(paths: AppPaths) -> SavedApp:
    try:
        settings = msgspec.json.decode(read_regular(paths.config), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        raise FastlbError(f"cannot read {paths.config}: {error}") from error
    besides = {}
    for path in sorted(paths.app_dir.glob("*.json")):
        if path != paths.config:
            with contextlib.suppress(OSError, msgspec.DecodeError):
                besides[path.name] = msgspec.json.decode(read_regular(path))
    return SavedApp(paths.name, is_running(paths), settings, besides)


def _decoded(path: Path) -> list[SavedApp]:
    try:
        saved = msgspec.json.decode(read_regular(path), type=_Saved)
    except OSError as error:
        raise FastlbError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise FastlbError(f"{path} is damaged ({error})") from error
    if saved.version != VERSION:
        raise FastlbError(f"{path} was written by a later fastlb")
    return saved.apps


def put_besides(paths: AppPaths, app: SavedApp) -> None:
    """Write the other files of an app's directory, which exists, as they were saved. Files that are there stay.

    Raises:
        FastlbError: the disk does not take them.
    """
    for name, content in app.besides.items():
        path = paths.app_dir / os.path.basename(name)
        if path.suffix != ".json" or path == paths.config or path.exists():
            continue
        try:
            write_atomically(path, msgspec.json.format(msgspec.json.encode(content), indent=1))
        except OSError as error:
            raise FastlbError(f"cannot write {path}: {error.strerror}") from error
