"""Owns gathering all that doctor looks at: twice what changes, once the rest. Runs in the user's shell.

It judges nothing and changes nothing. It asks supervisors by the function that it is given.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from ...supervisor.errors import FastlbError
from ...supervisor.home.paths import AppPaths
from ...supervisor.processes.programs import answer_of
from ...supervisor.sockets.refusals import listening_processes
from .examination import State
from .examined_app import UNIT_PROPERTIES, Answer, examine
from .listeners import listeners
from .machine import gather_machine, look
from .nginx_upstreams import find_upstreams
from .place_findings import Home, taken_ports
from .timeout_findings import Container

MOST_FILES = 10_000
ROOT = Path("/")
GONE = -1  # the owner of what was removed meanwhile

# Returns what is known of each app.
Ask = Callable[[Sequence[str]], Sequence[Answer]]


def gather(names: Sequence[str], home: Path, seconds: float, ask: Ask, version: str) -> State:
    """Return what is known of the machine and of the apps `names`, whose files are in `home`.

    Args:
        names: of the apps.
        home: $FASTLB_HOME.
        seconds: between the two looks.
        ask: asks the supervisors.
        version: of the command.
    """
    first, before = look(ROOT, time.monotonic(), listeners), _answers(names, ask)
    time.sleep(seconds)
    last, after = look(ROOT, time.monotonic(), listeners), _answers(names, ask)
    apps = [
        examine(AppPaths(home, name), before[name], after[name], _ask_systemd)
        for name in names
        if name in before and name in after
    ]
    taken = taken_ports(apps, last.listeners or ())
    ports = {port for some in taken.values() for port in some}
    return State(
        machine=gather_machine(ROOT, first, last),
        apps=apps,
        home=gather_home(home),
        version=version,
        upstreams=find_upstreams(ROOT),
        whose={port: ", ".join(listening_processes(port)) for port in ports},
        container=find_container(ROOT, os.environ),
    )


def find_container(root: Path, environ: Mapping[str, str]) -> Container:
    """Return in whose container we are, by what engines leave there."""
    if "KUBERNETES_SERVICE_HOST" in environ:
        return "kubernetes"
    return "docker" if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists() else ""


def gather_home(home: Path) -> Home:
    """Return what is known of the directory of our files, and of whose the files in it are."""
    try:
        status = home.stat()
    except OSError:
        return Home(str(home), os.geteuid())
    owners = ((path, _uid(path)) for path in islice(_files(home), MOST_FILES))
    foreign = [str(path.relative_to(home)) for path, uid in owners if uid not in (status.st_uid, GONE)]
    return Home(str(home), os.geteuid(), status.st_uid, stat.S_IMODE(status.st_mode), foreign)


def _files(home: Path) -> Iterator[Path]:
    yield from _within(home)
    yield from _within(home / "logs")
    for app in _within(home / "apps"):
        yield app
        yield from _within(app)


def _within(directory: Path) -> list[Path]:
    """Return what is in a directory, which may be gone by now."""
    with suppress(OSError):
        return sorted(directory.iterdir())
    return []


def _uid(path: Path) -> int:
    with suppress(OSError):
        return path.lstat().st_uid
    return GONE


def _answers(names: Sequence[str], ask: Ask) -> dict[str, Answer]:
    return {answer.entry.name: answer for answer in (ask(names) if names else [])}


def _ask_systemd(unit: str) -> str:
    properties = [word for name in UNIT_PROPERTIES for word in ("-p", name)]
    for scope in ((), ("--user",)):
        with suppress(FastlbError):
            said = answer_of(["systemctl", *scope, "show", unit, *properties], os.environ, "it is not needed")
            if "MainPID=" in said and "MainPID=0" not in said.split():
                return said
    return ""
