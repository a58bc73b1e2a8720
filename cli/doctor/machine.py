"""Owns gathering what doctor looks at of the machine: from files of the kernel below a root, and from its sockets.

Runs in the user's shell. It reads and judges nothing: the findings do that. What cannot be read is left out.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from .kernel_text import (
    ESTABLISHED,
    LISTEN,
    TIME_WAIT,
    CpuTimes,
    TcpRow,
    read_counters,
    read_cpu_times,
    read_named,
    read_tcp_rows,
)
from .listeners import Listener

# Of a machine with more connections, the first ones are looked at.
MOST_ROWS = 300_000
SYSCTLS = (
    "net/core/somaxconn",
    "net/ipv4/tcp_max_syn_backlog",
    "net/ipv4/tcp_syncookies",
)
CLOCK_SOURCE = "sys/devices/system/clocksource/clocksource0/current_clocksource"


@dataclass(frozen=True)
class Look:
    """What changes from one moment to the next.

    Attributes:
        at: when, in monotonic seconds.
        counters: of the network, since the boot, by names as `TcpExt.ListenDrops`.
        cpu: None: not known.
        swapped_in: pages that were read from swap, since the boot.
        listeners: None: the kernel does not tell.
    """

    at: float
    counters: Mapping[str, int] = field(default_factory=dict)
    cpu: CpuTimes | None = None
    swapped_in: int = 0
    listeners: Sequence[Listener] | None = None


@dataclass
class PortUse:
    """Local ports that connections to one address have. `waiting`: of these, in TIME_WAIT."""

    used: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class Connections:
    """The TCP connections of the machine.

    Attributes:
        outgoing: by remote host and port.
        clients: by local port, how many connections each remote host has.
    """

    outgoing: Mapping[tuple[str, int], PortUse] = field(default_factory=dict)
    clients: Mapping[int, Counter[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Machine:
    """What is known of the machine.

    Attributes:
        first, last: the two looks.
        sysctls: figures by their names, `net/core/somaxconn`.
        port_range: first and last local port of outgoing connections; None: not known.
        files_open, files_most: of the whole machine; 0: not known.
        memory: /proc/meminfo, in bytes.
    """

    first: Look
    last: Look
    release: str = ""
    clock_source: str = ""
    sysctls: Mapping[str, int] = field(default_factory=dict)
    port_range: tuple[int, int] | None = None
    files_open: int = 0
    files_most: int = 0
    memory: Mapping[str, int] = field(default_factory=dict)
    connections: Connections = field(default_factory=Connections)

    def grown(self, counter: str) -> int:
        """How much a counter has grown from the first to the last look."""
        return self.last.counters.get(counter, 0) - self.first.counters.get(counter, 0)


def look(root: Path, now: float, ask_listeners: Callable[[], Sequence[Listener]]) -> Look:
    """Return a look at what changes. `root`: where proc/ and sys/ are; `now`: monotonic seconds."""
    found: Sequence[Listener] | None = None
    with suppress(OSError):
        found = ask_listeners()
    return Look(
        at=now,
        counters=read_counters(text_of(root / "proc/net/netstat")),
        cpu=read_cpu_times(text_of(root / "proc/stat")),
        swapped_in=read_named(text_of(root / "proc/vmstat")).get("pswpin", 0),
        listeners=found,
    )


def gather_machine(root: Path, first: Look, last: Look) -> Machine:
    """Return what is known of the machine. `root` as for `look`."""
    sysctls = {name: int(text) for name in SYSCTLS if (text := text_of(root / "proc/sys" / name).strip()).isdigit()}
    files = text_of(root / "proc/sys/fs/file-nr").split()
    ports = text_of(root / "proc/sys/net/ipv4/ip_local_port_range").split()
    port_range = (int(ports[0]), int(ports[1])) if len(ports) == 2 else None
    return Machine(
        first=first,
        last=last,
        release=text_of(root / "proc/sys/kernel/osrelease").strip(),
        clock_source=text_of(root / CLOCK_SOURCE).strip(),
        sysctls=sysctls,
        port_range=port_range,
        files_open=int(files[0]) if len(files) == 3 else 0,
        files_most=int(files[2]) if len(files) == 3 else 0,
        memory=read_named(text_of(root / "proc/meminfo")),
        connections=connections_of(_tcp_rows(root), port_range or (0, 0)),
    )


def connections_of(rows: Iterator[TcpRow], port_range: tuple[int, int]) -> Connections:
    """Return the connections among these sockets. `port_range` as in Machine."""
    listening: set[int] = set()
    others: list[TcpRow] = []
    for row in islice(rows, MOST_ROWS):
        if row.state == LISTEN:
            listening.add(row.local[1])
        else:
            others.append(row)
    outgoing: dict[tuple[str, int], PortUse] = {}
    clients: dict[int, Counter[str]] = {}
    for row in others:
        port = row.local[1]
        if port in listening:
            if row.state == ESTABLISHED:
                clients.setdefault(port, Counter())[row.remote[0]] += 1
        elif port_range[0] <= port <= port_range[1]:
            use = outgoing.setdefault(row.remote, PortUse())
            use.used += 1
            use.waiting += row.state == TIME_WAIT
    return Connections(outgoing, clients)


def text_of(path: Path) -> str:
    """Return what is in a file; empty: it cannot be read."""
    with suppress(OSError):
        return path.read_text(errors="replace")
    return ""


def _tcp_rows(root: Path) -> Iterator[TcpRow]:
    for name in ("tcp", "tcp6"):
        with suppress(OSError), (root / "proc/net" / name).open() as lines:
            yield from read_tcp_rows(lines)
