"""Owns what the machine as a whole means for apps: steal, swap, clock, kernel, files, ports. Pure; the user's shell."""

from .finding import Finding
from .kernel_text import read_release
from .machine import CLOCK_SOURCE, Machine

# Percent of all CPU time that the hypervisor gave to others.
STEAL_WARNING, STEAL_ERROR = 5.0, 20.0
# Shares of what there is.
NEARLY, FULL = 0.8, 0.95
PORTS_WARNING, PORTS_ERROR = 0.5, 0.9
# Each is read by a system call, or from a device, where others are read in user space (kernel: timekeeping.rst).
SLOW_CLOCKS = ("acpi_pm", "hpet", "jiffies", "refined-jiffies", "pit", "xen")
# What the kernel has from that release on, and what is missing before.
NEEDED = (5, 3)
LACKS: tuple[tuple[tuple[int, int], str], ...] = (
    (
        (6, 2),
        "before 6.2 it does not tell how many descriptors a process has: connections of Node workers are not counted,"
        " and a worker notices late that it runs out of them",
    ),
    ((6, 9), "before 6.9 it signals no process group by its pidfd: workers are ended by the older calls instead"),
)


def find_steal(machine: Machine) -> Finding:
    """Say how much CPU time others on the same host had."""
    before, after = machine.first.cpu, machine.last.cpu
    if before is None or after is None or after.total <= before.total:
        return Finding(check="CPU steal", severity="ok", measured="not known")
    share = 100 * (after.steal - before.steal) / (after.total - before.total)
    seconds = machine.last.at - machine.first.at
    measured = f"{share:.1f} % of the CPU time went to other machines on the same host, in {seconds:.1f} s"
    if share < STEAL_WARNING:
        return Finding(check="CPU steal", severity="ok", measured=measured)
    return Finding(
        check="CPU steal",
        severity="error" if share >= STEAL_ERROR else "warning",
        measured=measured,
        meaning="The workers stand still meanwhile: all requests get slower, and no setting here changes that.",
        mend="a machine whose CPUs are not shared (ask who runs the host), or one with unlimited CPU credits",
    )


def find_clock(machine: Machine) -> Finding:
    """Say whether asking for the time is cheap."""
    source = machine.clock_source
    if source not in SLOW_CLOCKS:
        return Finding(check="clock source", severity="ok", measured=source or "not known")
    return Finding(
        check="clock source",
        severity="warning",
        measured=f"the clock is {source}",
        meaning="Each question for the time is a system call, or waits for a device: event loops ask all the time.",
        mend=f"echo tsc > /{CLOCK_SOURCE} (if it stands in available_clocksource beside it)",
    )


def find_kernel(machine: Machine) -> Finding:
    """Say what this kernel lacks."""
    release = read_release(machine.release)
    if release is None:
        return Finding(check="kernel", severity="ok", measured=machine.release or "not known")
    missing = [what for since, what in LACKS if release < since]
    if release < NEEDED:
        missing.insert(0, "before 5.3 there are no pidfds, without which nothing is started")
    if not missing:
        return Finding(check="kernel", severity="ok", measured=f"{machine.release} has all that is used")
    return Finding(
        check="kernel",
        severity="error" if release < NEEDED else "warning" if release < LACKS[0][0] else "note",
        measured=f"the kernel is {machine.release}",
        meaning=f"{'; '.join([missing[0].capitalize(), *missing[1:]])}.",
        mend="a newer kernel, best 6.9 or later",
    )


def find_file_table(machine: Machine) -> Finding:
    """Say whether the machine runs out of open files."""
    if not machine.files_most:
        return Finding(check="file-max", severity="ok", measured="not known")
    share = machine.files_open / machine.files_most
    measured = (
        f"{machine.files_open:,} files and sockets are open on the machine, fs.file-max is {machine.files_most:,}"
    )
    if share < NEARLY:
        return Finding(check="file-max", severity="ok", measured=measured)
    return Finding(
        check="file-max",
        severity="error" if share >= FULL else "warning",
        measured=measured,
        meaning="When they are used up no process can open a file or accept a connection (ENFILE).",
        mend=f"sysctl -w fs.file-max={2 * machine.files_most}, and find who has so many: ls /proc/*/fd",
    )


def find_local_ports(machine: Machine) -> Finding:
    """Say whether connections to one address use up the local ports."""
    outgoing = machine.connections.outgoing
    if machine.port_range is None or not outgoing:
        return Finding(check="local ports", severity="ok", measured="no connection goes out")
    size = machine.port_range[1] - machine.port_range[0] + 1
    (host, port), use = max(outgoing.items(), key=lambda item: item[1].used)
    measured = (
        f"of {size:,} local ports (net.ipv4.ip_local_port_range) connections to {host}:{port} use {use.used:,},"
        f" {use.waiting:,} of them in TIME_WAIT"
    )
    if use.used < PORTS_WARNING * size:
        return Finding(check="local ports", severity="ok", measured=measured)
    return Finding(
        check="local ports",
        severity="error" if use.used >= PORTS_ERROR * size else "warning",
        measured=measured,
        meaning="When none is left, no connection to that address can be made (EADDRNOTAVAIL).",
        mend="keep connections instead of making new ones (a pool; keep-alive in a proxy; a unix socket to an app on"
        ' the same machine); for the moment: sysctl -w net.ipv4.ip_local_port_range="10240 65535"',
    )


def find_swap(machine: Machine) -> Finding:
    """Say whether memory is read back from disk. What workers have there is said of their app."""
    pages = machine.last.swapped_in - machine.first.swapped_in
    used = machine.memory.get("SwapTotal", 0) - machine.memory.get("SwapFree", 0)
    measured = f"{used / 2**20:,.0f} MiB are swapped out, {pages:,} pages came back in the interval"
    if pages <= 0:
        return Finding(check="swap", severity="ok", measured=measured if used else "nothing is swapped out")
    return Finding(
        check="swap",
        severity="warning",
        measured=measured,
        meaning="Memory does not suffice, and whoever needs such a page waits for the disk.",
        mend="fewer workers (`fastlb scale`), --max-memory-restart, or more memory; `vmstat 1` shows it going on",
    )
