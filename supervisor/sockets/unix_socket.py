"""Owns how a unix socket comes to its path: with its mode from birth, in place of a dead one.

Runs in the supervisor, and in the shell that serves metrics.
It must never remove a socket that somebody answers on, or a file of another kind or owner.
"""

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from ..errors import FastlbError
from ..settings.addresses import MAX_UNIX_PATH_BYTES, UnixAddress
from .refusals import explain_answered_path, explain_bind_error


def bind_unix(sock: socket.socket, path: Path, mode: int) -> None:
    """Bind with this mode from birth: a chmod afterwards would leave a moment with a wider one.

    The umask is the process's, so no other thread may create files meanwhile.
    """
    umask = os.umask(0o777 & ~mode)
    try:
        sock.bind(str(path))
    finally:
        os.umask(umask)


def listening_unix_socket(spec: str, path: Path, mode: int, backlog: int) -> socket.socket:
    """Return a socket that listens at `path`, for the `--bind` that the user wrote as `spec`.

    Raises:
        FastlbError: it cannot; the message says why and what to do.
    """
    if len(os.fsencode(path)) > MAX_UNIX_PATH_BYTES:
        raise FastlbError(
            f"--bind {spec}: {path} is longer than the {MAX_UNIX_PATH_BYTES} bytes that the path of a"
            " unix socket may have: use a shorter one"
        )
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _locked_directory(path.parent):
            _remove_dead_socket(spec, path)
            bind_unix(sock, path, mode)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise explain_bind_error(error, spec, UnixAddress(str(path))) from error
    except FastlbError:
        sock.close()
        raise
    return sock


def file_id_of(path: Path) -> tuple[int, int]:
    """Device and inode of a file: whether a path still names the same one.

    Raises:
        OSError: as lstat(2) says.
    """
    status = path.lstat()
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def _locked_directory(directory: Path) -> Iterator[None]:
    """Hold a directory from the look at a dead socket in it until our bind: others who do the same wait."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _remove_dead_socket(spec: str, path: Path) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise FastlbError(f"--bind {spec}: {path} exists and is not a socket: remove it, or use another path")
    if _is_answered(path):
        raise explain_answered_path(spec, path)
    if status.st_uid != os.geteuid():
        raise FastlbError(f"--bind {spec}: {path} is a dead socket of uid {status.st_uid}: remove it")
    path.unlink()


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        code = probe.connect_ex(str(path))
    # EAGAIN: its backlog is full, so somebody listens. Every other errno is no proof that nobody does.
    return code not in (errno.ECONNREFUSED, errno.ENOENT)
