"""Owns $FASTLB_HOME: which files an app has, who may touch them, and the lock of the running supervisor.

Imported by the supervisor and the command line (light on purpose). It must never follow another user's
symbolic link, and never leave a half written file. Nothing here says that an app runs except its lock: a pid
in a file would lie after a crash.

    HOME/                 0700
      apps/NAME/          0700: lock, control.sock, config.json
      logs/NAME-*.log     0640
"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from ..errors import FastlbError, UsageError
from ..settings.app_config import AppConfig

MAX_UNIX_PATH_BYTES = 107  # sun_path without its final NUL: unix(7)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


def default_home() -> Path:
    """$FASTLB_HOME, or ~/.fastlb; always absolute, not yet created."""
    value = os.environ.get("FASTLB_HOME")
    home = Path(value) if value else Path("~/.fastlb")
    try:
        return Path(os.path.abspath(home.expanduser()))
    except RuntimeError as error:
        raise UsageError("there is no home directory for fastlb's files: set FASTLB_HOME") from error


def check_name(name: str) -> str:
    """Return `name` if it may be an app's name: it becomes a directory, so nothing that could leave it.

    Raises:
        UsageError: says what is allowed.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of an app: use 1 to 64 letters, digits, '.', '_' or '-',"
            " not starting with '.' or '-'"
        )
    return name


class AppPaths:
    """The files of one app. Only names: nothing is created by making one.

    Raises:
        UsageError: the name is not allowed.
    """

    def __init__(self, home: Path, name: str) -> None:
        self.home = home
        self.name = check_name(name)
        self.app_dir = home / "apps" / name
        self.lock = self.app_dir / "lock"
        self.control_socket = self.app_dir / "control.sock"
        self.config = self.app_dir / "config.json"
        self.logs_dir = home / "logs"
        self.out_log = self.logs_dir / f"{name}-out.log"
        self.error_log = self.logs_dir / f"{name}-error.log"
        self.supervisor_log = self.logs_dir / f"{name}-supervisor.log"

    def __repr__(self) -> str:
        return f"AppPaths({str(self.home)!r}, {self.name!r})"

    @property
    def files(self) -> dict[str, str]:
        """Those that are of interest to people, by what they are."""
        names = ("out_log", "error_log", "supervisor_log", "control_socket", "config")
        return {name: str(getattr(self, name)) for name in names}

    def exists(self) -> bool:
        """Whether the app has run and was not deleted, or runs."""
        return self.config.exists() or is_running(self)

    def remove(self) -> None:
        """Forget the app; its logs stay. The caller holds the lock, or knows that nobody does."""
        shutil.rmtree(self.app_dir, ignore_errors=True)


def prepare_home(home: Path) -> None:
    """Create `home` and its two directories, or check that they are ours alone to write.

    Raises:
        FastlbError: not creatable, not a directory, another user's, or too deep for a unix socket in it.
    """
    for directory in (home, home / "apps", home / "logs"):
        _prepare_directory(directory)


def prepare_app_dir(paths: AppPaths) -> bool:
    """Create the directory of one app; return whether it is new.

    Raises:
        FastlbError: as `prepare_home`.
    """
    if len(os.fsencode(paths.control_socket)) > MAX_UNIX_PATH_BYTES:
        raise FastlbError(
            f"{paths.control_socket} is longer than the {MAX_UNIX_PATH_BYTES} bytes that the path of a unix"
            " socket may have: set FASTLB_HOME to a shorter path"
        )
    return _prepare_directory(paths.app_dir)


def _prepare_directory(directory: Path) -> bool:
    try:
        created = _create_directory(directory)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unusable(directory, error.strerror or str(error)) from error
    try:
        _check_owner(directory, os.fstat(fd))
    finally:
        os.close(fd)
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise _unusable(directory, "it is not writable")
    return created


def _create_directory(directory: Path) -> bool:
    with contextlib.suppress(FileExistsError):
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700)
        return True
    return False


def _check_owner(directory: Path, status: os.stat_result) -> None:
    if directory.is_symlink() and directory.lstat().st_uid not in (0, os.geteuid()):
        raise _unusable(directory, "it is a symbolic link that belongs to another user")
    if status.st_uid != os.geteuid():
        raise _unusable(directory, f"it belongs to the user with uid {status.st_uid}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _unusable(directory, "other users may write to it (chmod go-w it first)")


def _unusable(directory: Path, reason: str) -> FastlbError:
    return FastlbError(f"cannot use {directory}: {reason}. Set FASTLB_HOME to a directory of yours")


class AppLock:
    """The proof that a supervisor of this app is alive: a lock that the kernel drops with the process.

    An open file description lock (F_OFD_SETLK, fcntl(2)), because unlike flock(2) it can be looked at
    without being taken: a question never makes a start fail.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def acquire(cls, paths: AppPaths) -> Self | None:
        """Take the lock, or return None when another process has it. The directory must exist."""
        while True:
            fd = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
            except BlockingIOError:
                os.close(fd)
                return None
            if _is_still(paths.lock, fd):
                return cls(fd)
            # A `delete` removed the directory between our open and our lock: this lock guards nothing.
            os.close(fd)
            prepare_app_dir(paths)

    def release(self) -> None:
        """Let another process have the lock. Not needed before exit."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def is_running(paths: AppPaths) -> bool:
    """Whether a supervisor of this app lives, even if it does not answer. Changes nothing."""
    try:
        fd = os.open(paths.lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_WRLCK))
    finally:
        os.close(fd)
    return int.from_bytes(answer[:2], sys.byteorder) != fcntl.F_UNLCK


def _whole_file(lock_type: int) -> bytes:
    """struct flock of fcntl(2) for all of a file: type, whence, start, length, pid (0 as F_OFD_* demands)."""
    return struct.pack("hhqqi4x", lock_type, os.SEEK_SET, 0, 0, 0)


def _is_still(path: Path, fd: int) -> bool:
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(fd))


def list_apps(home: Path) -> list[str]:
    """Names of all known apps, sorted: those that run, and those that have run and were not deleted.

    A directory without either is what a killed first start left; the next start of that name takes it over.
    """
    try:
        names = [entry.name for entry in os.scandir(home / "apps") if _NAME.fullmatch(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    apps = (AppPaths(home, name) for name in sorted(names))
    return [paths.name for paths in apps if paths.config.exists() or is_running(paths)]


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
    """Remember how the app was started, for `restart` after a `stop`.

    Raises:
        FastlbError: the disk does not take it; the old one is whole.
    """
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
        return msgspec.json.decode(paths.config.read_bytes(), type=AppConfig)
    except OSError as error:
        hint = "start the app with its target" if error.errno == errno.ENOENT else "check its mode and owner"
        raise FastlbError(f"cannot read {paths.config}: {error.strerror}: {hint}") from error
    except msgspec.DecodeError as error:
        raise FastlbError(f"{paths.config} is damaged ({error}): start the app with its target") from error
