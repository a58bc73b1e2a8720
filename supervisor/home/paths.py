"""Owns the names of the files in $FASTLB_HOME, and the directories that hold them: their modes and owners.

Runs in the supervisor process and in the user's shell; imports little. It must never use a directory that
another user may change.

    HOME/                 0700
      apps/NAME/          0700: lock, control.sock, config.json, source.json, autoscaling.json, alerts.json,
                          stopped-workers.json;
                          notify-N, a socket of each process; prometheus, prometheus-gone: what the app counts
      logs/NAME-*.log     0640
      logs/NAME-events.jsonl, NAME-events.1.jsonl  0640
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from ..errors import EXIT_USAGE, FastlbError
from ..settings.addresses import MAX_UNIX_PATH_BYTES
from ..settings.app_name import check_app_name

NOTIFY_SOCKET = "notify-"
# What a program that speaks for several homes has chosen; None: the variable counts.
_CHOSEN: ContextVar[Path | None] = ContextVar("fastlb_home", default=None)


class HomeUnusable(FastlbError):
    """There is no directory for our files that can be used."""


@contextlib.contextmanager
def at_home(home: Path | None) -> Iterator[None]:
    """Have `default_home` return `home` here and in what is called from here; None: as the variable says."""
    token = _CHOSEN.set(home)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def default_home() -> Path:
    """$FASTLB_HOME, or ~/.fastlb; always absolute, not yet created. Inside of `at_home`: that one.

    Raises:
        HomeUnusable: the user has no home directory.
    """
    if (chosen := _CHOSEN.get()) is not None:
        return chosen
    value = os.environ.get("FASTLB_HOME")
    home = Path(value) if value else Path("~/.fastlb")
    try:
        return Path(os.path.abspath(home.expanduser()))
    except RuntimeError as error:
        raise HomeUnusable("there is no home directory for our files: set FASTLB_HOME", exit_code=EXIT_USAGE) from error


class AppPaths:
    """The files of one app. Only names: nothing is created by making one.

    Args:
        home: the directory of all apps.
        name: of the app.
        is_kept: whether its settings are remembered, so that it stays in the list when it has ended.

    Raises:
        UsageError: the name is not allowed.
    """

    def __init__(self, home: Path, name: str, *, is_kept: bool = True) -> None:
        self.home = home
        self.is_kept = is_kept
        self.name = check_app_name(name)
        self.app_dir = home / "apps" / name
        self.lock = self.app_dir / "lock"
        self.control_socket = self.app_dir / "control.sock"
        self.config = self.app_dir / "config.json"
        self.source = self.app_dir / "source.json"
        self.autoscaling = self.app_dir / "autoscaling.json"
        self.alerts = self.app_dir / "alerts.json"
        self.stopped_workers = self.app_dir / "stopped-workers.json"
        self.log_index = self.app_dir / "log-index"
        self.logs_dir = home / "logs"
        self.out_log = self.logs_dir / f"{name}-out.log"
        self.error_log = self.logs_dir / f"{name}-error.log"
        self.supervisor_log = self.logs_dir / f"{name}-supervisor.log"
        self.events = self.logs_dir / f"{name}-events.jsonl"

    def __repr__(self) -> str:
        return f"AppPaths({str(self.home)!r}, {self.name!r})"

    def notify_socket(self, number: int) -> Path:
        """The socket by which incarnation `number` speaks to us."""
        return self.app_dir / f"{NOTIFY_SOCKET}{number}"

    def remove_notify_sockets(self, first: int = 0) -> None:
        """Remove those that a supervisor which was killed has left, of incarnations from `first` on: none may live."""
        for path in self.app_dir.glob(f"{NOTIFY_SOCKET}*"):
            number = path.name.removeprefix(NOTIFY_SOCKET)
            with contextlib.suppress(OSError):
                if not number.isdecimal() or int(number) >= first:
                    path.unlink()

    def remove(self) -> None:
        """Forget the app; its logs stay. The caller holds the lock, or knows that nobody does."""
        shutil.rmtree(self.app_dir, ignore_errors=True)


def no_directory(path: Path) -> HomeUnusable:
    """Return the error for `path` in the home, of which some part is a file, or another thing, and no directory."""
    part = next((part for part in reversed([path, *path.parents]) if part.exists() and not part.is_dir()), path)
    return _unusable(part, "it is no directory")


def not_readable(path: Path, error: OSError) -> HomeUnusable:
    """Return the error for `path` in the home, which cannot be looked into."""
    return _unusable(path, error.strerror or str(error))


def prepare_home(home: Path) -> None:
    """Create `home` and its two directories, or check that they are ours alone to write.

    Raises:
        HomeUnusable: not creatable, not a directory, another user's, or too deep for a unix socket in it.
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


def _unusable(directory: Path, reason: str) -> HomeUnusable:
    return HomeUnusable(f"cannot use {directory}: {reason}. Set FASTLB_HOME to a directory of yours")
