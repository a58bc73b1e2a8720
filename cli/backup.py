"""Owns the directory that `backup` writes and `restore` reads: the saved set, and the files that apps are started from.

Runs in the user's shell.

    DIR/saved-apps.json     as in the home
    DIR/files/ETC/...       configuration files and files of variables, by their absolute paths
    DIR/logs.tar.gz         if it was asked for

The directory holds secrets: 0700.
"""

import os
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..supervisor.errors import FastlbError
from ..supervisor.home.known_apps import list_apps
from ..supervisor.home.saved_apps import FILE_NAME, SavedApp, save_apps

FILES = "files"
LOGS = "logs.tar.gz"
BEFORE = ".before-restore"


class WrittenBackup(msgspec.Struct, frozen=True):
    """What a backup holds, and the result of `backup --json`.

    Attributes:
        directory: an absolute path.
        apps: their names.
        files: absolute paths of what was copied.
        logs: name of the archive of logs in the directory; empty: it was not asked for.
    """

    directory: str
    apps: list[str]
    files: list[str]
    logs: str


def write_backup(home: Path, directory: Path, *, with_logs: bool) -> WrittenBackup:
    """Save the apps of `home`, and copy all that is needed to bring them back. Return what was written.

    Raises:
        FastlbError: the directory is not empty, or the disk does not take it.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise FastlbError(f"{directory} is not empty: give a new directory")
        directory.chmod(0o700)
        apps = save_apps(home, list_apps(home))
        shutil.copy2(home / FILE_NAME, directory / FILE_NAME)
        files = [path for path in files_of(apps) if path.is_file()]
        for path in files:
            _copy(path, directory / FILES / path.relative_to("/"))
        if with_logs:
            with tarfile.open(directory / LOGS, "w:gz") as archive:
                archive.add(home / "logs", "logs")
    except OSError as error:
        raise FastlbError(f"cannot write {error.filename or directory}: {error.strerror}") from error
    names = [app.name for app in apps]
    return WrittenBackup(str(directory), names, [str(path) for path in files], LOGS if with_logs else "")


def files_of(apps: Sequence[SavedApp]) -> list[Path]:
    """Return the absolute paths of the files that apps are started from: configurations, and files of variables."""
    found: list[str] = []
    for app in apps:
        source = app.besides.get("source.json")
        if isinstance(source, dict) and source.get("file"):
            found.append(str(source["file"]))
        variables = app.settings.get("env_file") or []
        cwd = str(app.settings.get("cwd") or "/")
        found += [os.path.join(cwd, str(name)) for name in ([variables] if isinstance(variables, str) else variables)]
    return [Path(os.path.normpath(name)) for name in dict.fromkeys(found) if os.path.isabs(name)]


def put_back(directory: Path, home: Path) -> list[str]:
    """Put the files of a backup where they were, and the saved set into `home`. Return a sentence for each file.

    A file that is there and differs is kept beside it.

    Raises:
        FastlbError: it is no backup, or the disk does not take it.
    """
    if not (directory / FILE_NAME).is_file():
        raise FastlbError(f"{directory} is no backup: there is no {FILE_NAME} in it")
    said = []
    try:
        for path in sorted((directory / FILES).rglob("*")):
            if path.is_file():
                said.append(_put(path, Path("/") / path.relative_to(directory / FILES)))
        shutil.copy2(directory / FILE_NAME, home / FILE_NAME)
        (home / FILE_NAME).chmod(0o600)
    except OSError as error:
        raise FastlbError(f"cannot write {error.filename or home}: {error.strerror}") from error
    return said


def _put(copy: Path, path: Path) -> str:
    if path.exists():
        if path.read_bytes() == copy.read_bytes():
            return f"{path}: is the same"
        _copy(path, path.with_name(path.name + BEFORE))
    _copy(copy, path)
    return f"{path}: put back"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
