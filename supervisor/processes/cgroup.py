"""Owns what the kernel says of the cgroups that we, and so our workers, are in: limit and use of memory, OOM kills.

Runs in the supervisor process; reads only. cgroup v1 and v2, see the kernel's admin-guide/cgroup-v1/memory and
admin-guide/cgroup-v2. Where there is none, or it says nothing, there is none here either.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

# The "no limit" of v1 is the largest multiple of a page; nothing that large exists.
NO_LIMIT = 1 << 60


@dataclass(frozen=True)
class FileNames:
    """What the files of one version are called, and the lines in them."""

    limit: str
    usage: str
    inactive: bytes
    kills: str


V1 = FileNames("memory.limit_in_bytes", "memory.usage_in_bytes", b"total_inactive_file", "memory.oom_control")
V2 = FileNames("memory.max", "memory.current", b"inactive_file", "memory.events")


@dataclass(frozen=True)
class MemoryCgroup:
    """One cgroup whose memory is counted.

    Attributes:
        directory: of its files.
        names: of its version.
    """

    directory: Path
    names: FileNames

    @property
    def limit_bytes(self) -> int:
        """What it may use, now: a limit can be changed at any time; 0: as much as it wants."""
        text = self._read(self.names.limit).strip()
        limit = int(text) if text.isdigit() else 0
        return limit if limit < NO_LIMIT else 0

    @property
    def usage_bytes(self) -> int:
        """What it uses, with files that the kernel keeps in memory and can drop at any time."""
        text = self._read(self.names.usage).strip()
        return int(text) if text.isdigit() else 0

    @property
    def working_set_bytes(self) -> int:
        """What it uses without files that were not read for a while; takes longer than `usage_bytes`."""
        return max(self.usage_bytes - self._figure("memory.stat", self.names.inactive), 0)

    @property
    def oom_kills(self) -> int:
        """How many of its processes the kernel has ended for lack of memory."""
        return self._figure(self.names.kills, b"oom_kill")

    def _figure(self, file: str, name: bytes) -> int:
        return read_figure(self._read(file), name)

    def _read(self, file: str) -> bytes:
        return read_or_nothing(self.directory / file)


def read_or_nothing(path: Path) -> bytes:
    """Return what is in a file of the kernel's; nothing when it has none."""
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


def read_figure(text: bytes, name: bytes) -> int:
    """Return the number behind a name at the beginning of a line; 0 when there is none."""
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == name and words[1].isdigit():
            return int(words[1])
    return 0


def memory_cgroups(process: Path = Path("/proc/self")) -> list[MemoryCgroup]:
    """Return the cgroups that count the memory of a process: its own first, then those above it.

    Args:
        process: its directory in /proc.
    """
    mounts = read_or_nothing(process / "mountinfo").decode(errors="surrogateescape").splitlines()
    for line in read_or_nothing(process / "cgroup").decode(errors="surrogateescape").splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(",") or not controllers:
            names = V1 if controllers else V2
            found = _levels(mounts, names, path)
            if found:
                return found
    return []


def _levels(mounts: list[str], names: FileNames, path: str) -> list[MemoryCgroup]:
    for line in mounts:
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if kind[0] != ("cgroup" if names is V1 else "cgroup2") or (names is V1 and "memory" not in kind[2].split(",")):
            continue
        # What is mounted may be a part of the tree: in a container, the container's.
        top, below = Path(fields[4]), os.path.relpath(path, fields[3])
        own = top if below.startswith("..") else top / below
        directories = [own, *(parent for parent in own.parents if parent.is_relative_to(top))]
        return [MemoryCgroup(one, names) for one in directories if (one / names.usage).exists()]
    return []
