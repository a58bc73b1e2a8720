"""Owns the order of all that doctor looks at. Pure; runs in the user's shell."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from . import machine_findings, place_findings, queue_findings, room_findings, timeout_findings
from .examined_app import ExaminedApp
from .finding import Finding
from .machine import Machine
from .nginx_upstreams import Upstream
from .place_findings import Home
from .ports import tcp_ports
from .timeout_findings import Container
from .uneven_load import find_uneven_load, load_of


@dataclass(frozen=True)
class State:
    """Everything that was gathered.

    Attributes:
        version: of the command.
        whose: who has a port that a stopped app wants, for people.
        container: in which we are; empty: in none.
    """

    machine: Machine
    apps: Sequence[ExaminedApp]
    home: Home
    version: str
    upstreams: Sequence[Upstream] = ()
    whose: Mapping[int, str] = field(default_factory=dict)
    container: Container = ""


def findings_of(state: State) -> list[Finding]:
    """Return what is to be said of a state, of the machine first."""
    return [*_of_machine(state), *(finding for app in state.apps for finding in _of_app(state, app)), *_of_ports(state)]


def _of_machine(state: State) -> Iterator[Finding]:
    machine = state.machine
    yield machine_findings.find_kernel(machine)
    yield machine_findings.find_clock(machine)
    yield machine_findings.find_steal(machine)
    yield machine_findings.find_swap(machine)
    yield machine_findings.find_file_table(machine)
    yield machine_findings.find_local_ports(machine)
    yield queue_findings.find_somaxconn(machine, state.apps)
    yield queue_findings.find_syn_backlog(machine, state.apps)
    yield queue_findings.find_drops_of_machine(machine)
    yield place_findings.find_home(state.home)


def _of_app(state: State, app: ExaminedApp) -> Iterator[Finding]:
    yield place_findings.find_state(app)
    if not app.is_running:
        return
    yield from place_findings.find_sockets(app)
    yield from queue_findings.find_overflows(state.machine, app)
    yield from timeout_findings.find_keep_alive(app, state.upstreams)
    maybe = (
        place_findings.find_version(app, state.version),
        room_findings.find_descriptors(app),
        room_findings.find_cpu(app),
        room_findings.find_memory(app),
        room_findings.find_swapped_workers(app),
        timeout_findings.find_stop_timeout(app, state.container),
        timeout_findings.find_long_requests(app),
    )
    yield from (finding for finding in maybe if finding)
    if load := load_of(app, clients_of(state.machine, app)):
        yield find_uneven_load(app.name, load)


def clients_of(machine: Machine, app: ExaminedApp) -> Counter[str]:
    """Return how many connections to the app each remote host has; those of unix sockets have none."""
    counts: Counter[str] = Counter()
    for port in tcp_ports(app.entry.binds):
        counts += machine.connections.clients.get(port, Counter())
    return counts


def _of_ports(state: State) -> list[Finding]:
    listeners = state.machine.last.listeners or ()
    taken = place_findings.taken_ports(state.apps, listeners)
    return place_findings.find_port_conflicts(state.apps, taken, state.whose)
