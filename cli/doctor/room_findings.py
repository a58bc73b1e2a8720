"""Owns whether an app has room for what it does: descriptors, CPU, memory. Pure; runs in the user's shell."""

from ...supervisor.processes.resource_limits import MOST_DESCRIPTORS
from .examined_app import ExaminedApp
from .finding import Finding

NEARLY, FULL = 0.8, 0.95
# Of the periods of a cgroup, those in which it had to wait.
THROTTLED_WARNING, THROTTLED_ERROR = 0.02, 0.25


def find_descriptors(app: ExaminedApp) -> Finding | None:
    """Say whether a worker runs out of descriptors: each connection is one."""
    known = [process for process in app.processes if process.most and process.open]
    if not known:
        return None
    worst = max(known, key=lambda process: process.open / process.most)
    connections = sum(worker.connections for worker in app.entry.workers if worker.pid == worst.pid)
    measured = (
        f"worker {worst.worker} has {worst.open:,} of {worst.most:,} descriptors open, {connections:,} are connections"
    )
    share = worst.open / worst.most
    if share < NEARLY:
        return Finding(check="nofile", severity="ok", app=app.name, measured=measured)
    higher = min(4 * worst.most, MOST_DESCRIPTORS)
    return Finding(
        check="nofile",
        severity="error" if share >= FULL else "warning",
        app=app.name,
        measured=measured,
        meaning="With none left it takes no connection and opens no file (EMFILE); new clients wait for other workers.",
        mend=f"fastlb set {app.name} nofile={higher} && fastlb reload {app.name} (within the hard limit: `ulimit -Hn`,"
        " LimitNOFILE= of a unit); find what is never closed: ls -l /proc/" + f"{worst.pid}/fd",
    )


def find_cpu(app: ExaminedApp) -> Finding | None:
    """Say whether the app has the CPU that its workers could use."""
    room = app.cpu
    if room is None or not room.usable:
        return None
    workers = app.entry.target_workers or len(app.processes)
    some = f"{workers} worker{'s' if workers != 1 else ''}"
    measured = f"{some} on {room.usable:g} usable CPUs (affinity and cgroup)"
    share = room.throttled / room.periods if room.periods else 0.0
    if room.periods:
        measured += f"; its cgroup had to wait in {room.throttled:,} of {room.periods:,} periods ({100 * share:.1f} %)"
    if share >= THROTTLED_WARNING:
        return Finding(
            check="CPU of the cgroup",
            severity="error" if share >= THROTTLED_ERROR else "warning",
            app=app.name,
            measured=measured,
            meaning="All workers stand still for the rest of such a period, 100 ms by default: requests take that much"
            " longer.",
            mend="a higher quota (cpu.max, docker --cpus, limits.cpu, CPUQuota=), or fewer workers:"
            f" fastlb scale {app.name} max",
        )
    if workers > 2 * room.usable and workers > 2:
        return Finding(
            check="CPU of the cgroup",
            severity="note",
            app=app.name,
            measured=measured,
            meaning="More workers than CPUs help only apps that wait in them, as WSGI apps without threads do.",
            mend=f"fastlb scale {app.name} max, unless its workers wait for something else",
        )
    return Finding(check="CPU of the cgroup", severity="ok", app=app.name, measured=measured)


def find_memory(app: ExaminedApp) -> Finding | None:
    """Say whether the app's cgroup has memory for its workers, and for one more during a reload."""
    room = app.memory
    if room is None:
        return None
    largest = max((worker.rss_bytes for worker in app.entry.workers), default=0)
    left = room.limit_bytes - room.used_bytes
    measured = (
        f"its cgroup uses {_mib(room.used_bytes)} of {_mib(room.limit_bytes)} MiB, its largest worker {_mib(largest)}"
        f" MiB; {room.kills} processes were ended for lack of memory"
    )
    mend = (
        f"a higher limit, fewer workers (fastlb scale {app.name} -1), or fastlb set {app.name} max_memory_restart=SIZE"
    )
    share = room.used_bytes / room.limit_bytes
    if share < NEARLY and left >= largest and not room.kills:
        return Finding(check="memory of the cgroup", severity="ok", app=app.name, measured=measured)
    meanings = []
    if share >= NEARLY:
        meanings.append("When it is full the kernel ends a worker.")
    if left < largest:
        meanings.append("A reload starts one worker more for a while, and there is no room for it.")
    if room.kills:
        meanings.append("It has happened already.")
    return Finding(
        check="memory of the cgroup",
        severity="error" if share >= FULL else "warning",
        app=app.name,
        measured=measured,
        meaning=" ".join(meanings),
        mend=mend,
    )


def find_swapped_workers(app: ExaminedApp) -> Finding | None:
    """Say whether memory of workers is on disk."""
    swapped = {process.worker: process.swapped_bytes for process in app.processes if process.swapped_bytes}
    if not swapped:
        return None
    figures = ", ".join(f"worker {worker} {_mib(size)} MiB" for worker, size in sorted(swapped.items()))
    return Finding(
        check="swapped workers",
        severity="warning",
        app=app.name,
        measured=f"on disk: {figures}",
        meaning="A request that needs such memory waits for the disk.",
        mend=f"fewer workers (fastlb scale {app.name} -1) or more memory; fastlb reload {app.name} brings fresh ones",
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f}"
