"""Owns the files in which the Python workers of an app count together (`metrics_app`), and what becomes of dead ones'.

prometheus-client writes one file for each process and kind (its multiprocess mode). What a process that has ended has
counted is added to files of ours, so that sums go on and files do not pile up; its live gauges, and its gauges of each
process alone, are gone with it. Runs in the supervisor process, on its loop but for reading and adding, which are for
threads. It must never follow a link that a worker has made, or believe that a file is whole.
"""

import contextlib
import fcntl
import hashlib
import json
import operator
import os
import re
import stat
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FastlbError
from ..home.paths import AppPaths
from ..processes.attributes import identity_of
from ..settings.app_config import AppConfig

if TYPE_CHECKING:
    from prometheus_client import Metric

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
NAME = re.compile(r"(counter|histogram|summary|gauge_(live)?(all|min|max|sum|mostrecent))_[0-9]+\.db")
ENDING = ".db"
MOST_FILES = 4096
MOST_BYTES = 16 << 20  # of a file
# What a gauge of processes together is, of each of its modes that outlast a process.
LASTING_GAUGES: dict[str, Callable[[float, float], float]] = {"max": max, "min": min, "sum": operator.add}
MOST_RECENT = "mostrecent"
GONE_PID = "0"

# A process is the supervisor of one app, but during an update there are two of them: flock(2).
_one_at_a_time = threading.Lock()

_HEAD, _LENGTH, _VALUE = struct.Struct("ii"), struct.Struct("i"), struct.Struct("dd")

Values = dict[str, tuple[float, float]]  # by key: the value, and when it was set


@dataclass(frozen=True)
class CountingFiles:
    """Where the files are.

    Attributes:
        directory: that of the workers, theirs to write.
        gone: that of what ended processes have counted, ours alone.
        uid: whose `directory` must be.
    """

    directory: Path
    gone: Path
    uid: int

    @classmethod
    def of(cls, config: AppConfig, paths: AppPaths) -> "CountingFiles":
        """Return those of an app: in its directory, which another user's processes cannot enter."""
        identity = identity_of(config)
        own = paths.app_dir / "prometheus"
        if identity is not None and identity.uid != os.geteuid():
            name = hashlib.sha256(os.fsencode(paths.app_dir)).hexdigest()[:16]
            own = Path(tempfile.gettempdir()) / f"fastlb-prometheus-{identity.uid}-{name}"
        return cls(own, paths.app_dir / "prometheus-gone", identity.uid if identity else os.geteuid())

    def remove(self) -> None:
        """Forget all that was counted."""
        for directory, uid in ((self.directory, self.uid), (self.gone, os.geteuid())):
            with _files_in(directory, uid) as files:
                for path in files:
                    with contextlib.suppress(OSError):
                        path.unlink()

    def leave_nothing_outside(self, app_dir: Path) -> None:
        """Remove what is not in the directory of the app, and so would stay when that is removed."""
        if app_dir not in self.directory.parents:
            with _files_in(self.directory, self.uid) as files:
                for path in files:
                    path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.directory.rmdir()

    def add_up_gone(self) -> None:
        """Add what processes that have ended have counted to files of ours, and remove theirs."""
        with self._alone():
            self._add_up_gone()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with _one_at_a_time:
            self.gone.mkdir(mode=0o700, exist_ok=True)
            fd = os.open(self.gone, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                yield
            finally:
                os.close(fd)

    def read(self) -> "list[Metric]":
        """Return the metrics of all processes together, as prometheus-client joins them."""
        from prometheus_client.multiprocess import MultiProcessCollector

        with self._alone():
            self._add_up_gone()
            with _files_in(self.directory, self.uid) as own, _files_in(self.gone, os.geteuid()) as gone:
                whole = [str(path) for path in (*own, *gone) if values_in(path) is not None]
                return list(MultiProcessCollector.merge(whole, accumulate=True))

    def _add_up_gone(self) -> None:
        with _files_in(self.directory, self.uid) as files:
            for path in files:
                pid = path.name.removesuffix(ENDING).rpartition("_")[2]
                if pid.isdecimal() and os.path.exists(f"/proc/{pid}"):
                    continue
                if rule := _rule_for(path.name):
                    self._add(path, rule)
                with contextlib.suppress(OSError):
                    path.unlink()

    def _add(self, path: Path, rule: str) -> None:
        values = values_in(path)
        if not values:
            return
        target = self.gone / f"{path.name.removesuffix(ENDING).rpartition('_')[0]}_{GONE_PID}{ENDING}"
        _write(target, joined(values_in(target) or {}, values, rule))


def counting_environment(config: AppConfig, paths: AppPaths) -> dict[str, str]:
    """Return the variables by which a worker counts into the files, which there is a directory for then.

    Raises:
        FastlbError: the directory is not the workers' alone to write.
    """
    if not config.metrics_app:
        return {}
    directory = CountingFiles.of(config, paths).directory
    identity = identity_of(config)
    uid, gid = (identity.uid, identity.gid) if identity else (os.geteuid(), os.getegid())
    try:
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
            os.chown(directory, uid, gid)
        status = directory.lstat()
    except OSError as error:
        raise FastlbError(f"metrics_app: cannot use {directory}: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid or status.st_mode & 0o022:
        raise FastlbError(f"metrics_app: {directory} is not a directory of uid {uid} alone: remove it")
    return {VARIABLE: str(directory)}


def joined(before: Values, after: Values, rule: str) -> Values:
    """Return what two processes have counted together; `rule`: sum, max, min or mostrecent."""
    found = dict(before)
    for key, (value, at) in after.items():
        if key not in found:
            found[key] = (value, at)
        elif rule == MOST_RECENT:
            found[key] = max(found[key], (value, at), key=lambda one: one[1])
        else:
            found[key] = (LASTING_GAUGES[rule](found[key][0], value), 0.0)
    return found


def values_in(path: Path) -> Values | None:
    """Return what a file holds; None: it is no whole file of prometheus-client's."""
    from prometheus_client.mmap_dict import MmapedDict

    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            return None
        whole = MmapedDict.read_all_values_from_file(f"/proc/self/fd/{fd}")
        values = {key: (value, at) for key, value, at, _ in whole}
        return values if all(_is_key(key) for key in values) else None
    except Exception:  # noqa: BLE001 - a worker may have written anything
        return None
    finally:
        os.close(fd)


def _is_key(text: str) -> bool:
    family, name, labels, meaning = json.loads(text)
    return isinstance(labels, dict) and all(isinstance(one, str) for one in (family, name, meaning, *labels.values()))


def _rule_for(name: str) -> str:
    """Return how values of a process that has ended are added to others'; "": they are not."""
    kind, _, rest = name.partition("_")
    if kind in ("counter", "histogram", "summary"):
        return "sum"
    mode = rest.partition("_")[0]
    return mode if kind == "gauge" and (mode in LASTING_GAUGES or mode == MOST_RECENT) else ""


@contextlib.contextmanager
def _files_in(directory: Path, uid: int) -> Iterator[list[Path]]:
    """Hold a directory that must be `uid`'s, and yield the files in it; none: it is not there, or another is.

    Their paths lead through our descriptor: whoever may replace the directory leads us to no other place.
    """
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield []
        return
    try:
        if os.fstat(fd).st_uid != uid:
            yield []
            return
        with os.scandir(fd) as entries:
            names = [entry.name for entry in _first(entries) if NAME.fullmatch(entry.name)]
        yield [Path(f"/proc/self/fd/{fd}") / name for name in names]
    finally:
        os.close(fd)


def _first(entries: "Iterator[os.DirEntry[str]]") -> "Iterator[os.DirEntry[str]]":
    yield from (entry for _, entry in zip(range(MOST_FILES), entries, strict=False))


def _write(path: Path, values: Values) -> None:
    """Write a file in prometheus-client's format (mmap_dict.py), not by its map: a full disk would end this process."""
    data = bytearray(_HEAD.size)
    for key, (value, at) in values.items():
        text = key.encode()
        data += _LENGTH.pack(len(text)) + text + b" " * (8 - (len(text) + _LENGTH.size) % 8) + _VALUE.pack(value, at)
    _HEAD.pack_into(data, 0, len(data), 0)
    partial = path.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(path)
