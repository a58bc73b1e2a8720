"""Owns the directories in which the Python workers of an app count (`metrics_app`): one for each user that they ran as.

A reload may change the user while workers of before still count, and an update the supervisor: so which users there are
is remembered by files in the directory of the app. Runs in the supervisor process, and in the user's shell, which
removes what a killed supervisor has left. It must never follow a link that a worker has made.
"""

import contextlib
import hashlib
import itertools
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import FastlbError
from ..home.paths import AppPaths
from ..processes.attributes import identity_of
from ..settings.app_config import AppConfig

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
NAME = re.compile(r"(counter|histogram|summary|gauge_(live)?(all|min|max|sum|mostrecent))_[0-9]+\.db")
MOST_FILES = 4096
MARK = "uid-"


class Directory(NamedTuple):
    """A directory with files of counts, and whose it must be."""

    path: Path
    uid: int


def gone_directory(paths: AppPaths) -> Directory:
    """Return that of what ended processes have counted, ours alone."""
    return Directory(paths.app_dir / "prometheus-gone", os.geteuid())


def directory_of(uid: int, paths: AppPaths) -> Directory:
    """Return that of workers which run as `uid`: in the app's, which another user's processes cannot enter."""
    if uid == os.geteuid():
        return Directory(paths.app_dir / "prometheus", uid)
    name = hashlib.sha256(os.fsencode(paths.app_dir)).hexdigest()[:16]
    return Directory(Path(tempfile.gettempdir()) / f"fastlb-prometheus-{uid}-{name}", uid)


def known_directories(paths: AppPaths) -> list[Directory]:
    """Return those that workers of the app were given since it was started."""
    try:
        names = os.listdir(gone_directory(paths).path)
    except OSError:
        return []
    uids = [name.removeprefix(MARK) for name in names if name.startswith(MARK)]
    return [directory_of(int(uid), paths) for uid in uids if uid.isdecimal()]


def counting_environment(config: AppConfig, paths: AppPaths) -> dict[str, str]:
    """Return the variables by which a worker counts into the files, which there is a directory for then.

    Raises:
        FastlbError: the directory is not the workers' alone to write.
    """
    if not config.metrics_app:
        return {}
    identity = identity_of(config)
    uid, gid = (identity.uid, identity.gid) if identity else (os.geteuid(), os.getegid())
    directory, gone = directory_of(uid, paths).path, gone_directory(paths).path
    try:
        gone.mkdir(mode=0o700, exist_ok=True)
        (gone / f"{MARK}{uid}").touch(0o600)
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
            os.chown(directory, uid, gid)
        status = directory.lstat()
    except OSError as error:
        raise FastlbError(f"metrics_app: cannot use {directory}: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid or status.st_mode & 0o022:
        raise FastlbError(f"metrics_app: {directory} is not a directory of uid {uid} alone: remove it")
    return {VARIABLE: str(directory)}


class Files(NamedTuple):
    """Files of counts in a directory. `missing`: says that it has more than MOST_FILES entries; ""."""

    paths: list[Path]
    missing: str = ""


@contextlib.contextmanager
def files_in(directory: Directory) -> Iterator[Files]:
    """Hold a directory that must be its user's, and yield the files in it; none: it is not there, or another is.

    Their paths lead through our descriptor: whoever may replace the directory leads us to no other place.
    """
    try:
        fd = os.open(directory.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield Files([])
        return
    try:
        if os.fstat(fd).st_uid != directory.uid:
            yield Files([])
            return
        with os.scandir(fd) as entries:
            names = [entry.name for entry in itertools.islice(entries, MOST_FILES + 1)]
        paths = [Path(f"/proc/self/fd/{fd}") / name for name in names[:MOST_FILES] if NAME.fullmatch(name)]
        yield Files(paths, _too_many(directory) if len(names) > MOST_FILES else "")
    finally:
        os.close(fd)


def unlink_files(directory: Directory) -> None:
    """Remove the files in a directory."""
    with files_in(directory) as files:
        for path in files.paths:
            with contextlib.suppress(OSError):
                path.unlink()


def leave_nothing_outside(directories: Iterable[Directory], app_dir: Path) -> None:
    """Remove those that are not in the directory of the app, and so would stay when that is removed."""
    for directory in directories:
        if app_dir not in directory.path.parents:
            unlink_files(directory)
            with contextlib.suppress(OSError):
                directory.path.rmdir()


def _too_many(directory: Directory) -> str:
    return f"{directory.path} has more than {MOST_FILES} files: only as many are told"
