"""Owns gathering what doctor looks at of one app: settings, two answers of its supervisor, processes, files.

Runs in the user's shell. It asks no supervisor itself, and judges nothing. What cannot be read is left out.
"""

import os
import re
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...supervisor.control.protocol import AppEntry
from ...supervisor.errors import FastlbError
from ...supervisor.home.paths import AppPaths
from ...supervisor.home.stored_config import load_config
from ...supervisor.processes.cgroup import memory_cgroups, read_figure, read_or_nothing
from ...supervisor.settings.app_config import AppConfig
from ...supervisor.settings.cpus import CGROUP_MOUNT, V1_CPU_CONTROLLERS, cgroup_quota, lines_of, upwards
from .kernel_text import read_descriptor_limit, read_named
from .machine import text_of

# As `systemctl show UNIT` with these is asked; the argument is the unit.
UNIT_PROPERTIES = ("TimeoutStopUSec", "KillMode", "MainPID")
_UNIT = re.compile(r"([^/]+\.service)$")


@dataclass(frozen=True)
class Answer:
    """What was known of an app at one moment.

    Attributes:
        at: monotonic seconds.
        entry: what was known.
        problem: why no more was.
        is_unreachable: whoever asked may be why.
    """

    at: float
    entry: AppEntry
    problem: str = ""
    is_unreachable: bool = False


@dataclass(frozen=True)
class Process:
    """A worker's process. `open`, `most`: descriptors. `swapped_bytes`: its memory that is on disk."""

    worker: int
    pid: int
    open: int
    most: int
    swapped_bytes: int


@dataclass(frozen=True)
class CpuRoom:
    """What CPU an app may use.

    Attributes:
        usable: CPUs, by affinity and quota.
        periods, throttled: of its cgroup, and in how many it had to wait for the next; since that was made.
    """

    usable: float
    periods: int = 0
    throttled: int = 0


@dataclass(frozen=True)
class MemoryRoom:
    """What memory an app may use. `used_bytes`: without files that can be dropped. `kills`: for lack of it."""

    limit_bytes: int
    used_bytes: int
    kills: int


@dataclass(frozen=True)
class Unit:
    """The systemd unit whose main process is the app's supervisor. `stop_seconds`: 0: for ever."""

    name: str
    stop_seconds: float
    kill_mode: str


@dataclass(frozen=True)
class SocketFile:
    """A unix socket of the app. `mode`: its bits; None: there is no socket. `uid`: whose."""

    path: str
    mode: int | None
    uid: int = -1


@dataclass(frozen=True)
class ExaminedApp:
    """What is known of one app.

    Attributes:
        config: its settings; None: they cannot be read.
        first, last: the two answers.
        processes: of its workers.
        memory: of the cgroup that has the least room; None: none has a limit.
        unit: None: systemd does not run it.
        control_socket, sockets: its own, and those that it listens on.
    """

    config: AppConfig | None
    first: Answer
    last: Answer
    processes: Sequence[Process] = ()
    cpu: CpuRoom | None = None
    memory: MemoryRoom | None = None
    unit: Unit | None = None
    control_socket: SocketFile | None = None
    sockets: Sequence[SocketFile] = ()

    @property
    def name(self) -> str:
        """Of the app."""
        return self.last.entry.name

    @property
    def entry(self) -> AppEntry:
        """What was known at last."""
        return self.last.entry

    @property
    def is_running(self) -> bool:
        """Whether its supervisor answers."""
        return self.entry.pid is not None


def examine(paths: AppPaths, first: Answer, last: Answer, ask_systemd: Callable[[str], str]) -> ExaminedApp:
    """Return what is known of an app. `ask_systemd`: what `systemctl show` says of a unit; empty: nothing."""
    config = None
    with suppress(FastlbError):
        config = load_config(paths)
    pid = last.entry.pid
    if pid is None:
        return ExaminedApp(config, first, last)
    binds = [bind.removeprefix("unix:") for bind in last.entry.binds if bind.startswith("unix:")]
    return ExaminedApp(
        config=config,
        first=first,
        last=last,
        processes=[_process(worker.id, worker.pid) for worker in last.entry.workers if worker.pid],
        cpu=cpu_room(Path(f"/proc/{pid}/cgroup"), CGROUP_MOUNT, affinity_of(pid)),
        memory=_memory_room(pid),
        unit=unit_of(text_of(Path(f"/proc/{pid}/cgroup")), pid, ask_systemd),
        control_socket=_socket_file(str(paths.control_socket)),
        sockets=[_socket_file(os.path.join(last.entry.cwd, path)) for path in binds],
    )


def affinity_of(pid: int) -> int:
    """Return on how many CPUs a process may run; 0: it is gone."""
    with suppress(OSError):
        return len(os.sched_getaffinity(pid))
    return 0


def cpu_room(cgroup_of: Path, mount: Path, affinity: int) -> CpuRoom:
    """Return what CPU a process may use. `cgroup_of`, `mount` as in `cgroup_quota`."""
    quota = cgroup_quota(cgroup_of, mount)
    usable = float(affinity) if quota is None else min(float(affinity), quota)
    found = [CpuRoom(usable)]
    for line in lines_of(cgroup_of):
        _, controllers, path = line.split(":", 2)
        tops = [mount / name for name in V1_CPU_CONTROLLERS] if "cpu" in controllers.split(",") else []
        for directory in [one for top in (tops or [mount] * (not controllers)) for one in upwards(top, path)]:
            text = read_or_nothing(directory / "cpu.stat")
            found.append(CpuRoom(usable, read_figure(text, b"nr_periods"), read_figure(text, b"nr_throttled")))
    return max(found, key=lambda room: (room.throttled, room.periods))


def unit_of(cgroup_text: str, pid: int, ask_systemd: Callable[[str], str]) -> Unit | None:
    """Return the unit whose main process this is; None: there is none.

    Args:
        cgroup_text: /proc/PID/cgroup, which names the unit that it is in.
        ask_systemd: as in `examine`; asked only for a unit.
    """
    paths = [
        line.split(":", 2)[2] for line in cgroup_text.splitlines() if line.startswith("0::") or "=systemd:" in line
    ]
    names = [match[1] for path in paths if (match := _UNIT.search(path))]
    if not names:
        return None
    said = dict(line.split("=", 1) for line in ask_systemd(names[0]).splitlines() if "=" in line)
    seconds = read_span(said.get("TimeoutStopUSec", ""))
    if said.get("MainPID") != str(pid) or seconds is None:
        return None
    return Unit(names[0], seconds, said.get("KillMode", ""))


SPANS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def read_span(text: str) -> float | None:
    """Return the seconds of `1min 30s` (systemd.time(7)); 0: `infinity`; None: it looks otherwise."""
    if text == "infinity":
        return 0.0
    parts = re.findall(r"([\d.]+)(us|ms|min|s|h|d|w)\b", text)
    return sum(float(number) * SPANS[unit] for number, unit in parts) if parts else None


def _process(worker: int, pid: int) -> Process:
    directory = Path(f"/proc/{pid}")
    count = 0
    with suppress(OSError):
        count = len(os.listdir(directory / "fd"))
    most = read_descriptor_limit(text_of(directory / "limits")) or 0
    return Process(worker, pid, count, most, read_named(text_of(directory / "status")).get("VmSwap", 0))


def _memory_room(pid: int) -> MemoryRoom | None:
    rooms = [
        MemoryRoom(limit, cgroup.working_set_bytes, cgroup.oom_kills)
        for cgroup in memory_cgroups(Path(f"/proc/{pid}"))
        if (limit := cgroup.limit_bytes)
    ]
    return min(rooms, key=lambda room: room.limit_bytes - room.used_bytes, default=None)


def _socket_file(path: str) -> SocketFile:
    with suppress(OSError):
        status = os.stat(path)
        if stat.S_ISSOCK(status.st_mode):
            return SocketFile(path, stat.S_IMODE(status.st_mode), status.st_uid)
    return SocketFile(path, None)
