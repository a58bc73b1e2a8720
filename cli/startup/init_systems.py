"""Owns where an init system has its files, and what it is told when they change. Runs in the user's shell."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...supervisor.errors import FastlbError, UsageError
from .boot_app import BootApp, Owner, environment, own_command
from .installation import Installation, install, ours_in, run
from .openrc_scripts import scripts_of
from .systemd_units import mark_of, target_name, units_of

InitName = Literal["systemd", "openrc"]
# Where each shows that it runs the machine.
RUNNING = {"systemd": Path("/run/systemd/system"), "openrc": Path("/run/openrc")}
LINGERING = Path("/var/lib/systemd/linger")
ROOT = Path("/")


@dataclass(frozen=True)
class Place:
    """Which init system is meant. `root`: / or that of an image; `of_user`: the user's own systemd."""

    init: InitName
    root: Path = ROOT
    of_user: bool = False

    @property
    def directory(self) -> Path:
        """Where its files are."""
        if self.of_user:
            return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "systemd", "user")
        return self.root / ("etc/systemd/system" if self.init == "systemd" else "etc/init.d")

    @property
    def runlevel(self) -> Path:
        """Where OpenRC has the links of what a boot starts."""
        return self.root / "etc/runlevels/default"

    def systemctl(self, *arguments: str) -> list[str]:
        """Return a command of systemd."""
        options = ["--user"] if self.of_user else [f"--root={self.root}"] if self.root != ROOT else []
        return ["systemctl", *options, *arguments]


def find_init() -> InitName:
    """Return which init system runs this machine.

    Raises:
        UsageError: none that is known here.
    """
    for name in ("systemd", "openrc"):
        if RUNNING[name].is_dir():
            return name
    raise UsageError("neither systemd nor OpenRC runs this machine: name one, with --print or --root DIR")


def installation(place: Place, owner: Owner, apps: Sequence[BootApp]) -> Installation:
    """Return what is to be there for these apps."""
    directory = place.directory
    if place.init == "openrc":
        scripts = scripts_of(owner, apps)
        files = {directory / name: text for name, text in scripts.items()}
        return Installation(files, 0o755, {place.runlevel / name: f"/etc/init.d/{name}" for name in scripts})
    units = units_of(owner, apps, of_user=place.of_user)
    reload = [place.systemctl("daemon-reload")] if place.root == ROOT else []
    files = {directory / name: text for name, text in units.items()}
    return Installation(files, commands=[*reload, place.systemctl("enable", *units)])


def put_in_place(place: Place, owner: Owner, apps: Sequence[BootApp]) -> list[Path]:
    """Install the files of these apps, and remove those of apps that are no longer among them. Return what was removed.

    Raises:
        FastlbError: it could not be done, and nothing new is there.
    """
    if place.of_user:
        _have_user_linger(owner)
    wanted = installation(place, owner, apps)
    install(wanted, mark_of(owner))
    former = [path for path in _ours(place, owner) if path not in wanted.files]
    _remove(place, former)
    return former


def take_away(place: Place, owner: Owner) -> list[Path]:
    """Remove all files of these apps, and return them.

    Raises:
        FastlbError: the init system refuses.
    """
    there = _ours(place, owner)
    _remove(place, there)
    return there


def what_root_types(place: Place, owner: Owner, command: str) -> str:
    """Return the command line by which root does what `command` (startup, unstartup) may not do as this user."""
    variables = [f"{name}={value}" for name, value in environment(owner).items()]
    line = [*own_command(), command, place.init, "--username", owner.name]
    return shlex.join(["sudo", "env", *variables, *line])


def how_to_start(place: Place, owner: Owner) -> str:
    """Return the command that starts the apps without a boot."""
    if place.init == "openrc":
        return "openrc"
    return shlex.join(place.systemctl("start", target_name(owner, of_user=place.of_user)))


def _ours(place: Place, owner: Owner) -> list[Path]:
    return ours_in(place.directory, "fastlb*", mark_of(owner))


def _remove(place: Place, paths: Sequence[Path]) -> None:
    if not paths:
        return
    if place.init == "systemd":
        run(place.systemctl("disable", *(path.name for path in paths)))
    for path in paths:
        try:
            (place.runlevel / path.name).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise FastlbError(f"cannot remove {path}: {error.strerror}") from error
    if place.init == "systemd" and place.root == ROOT:
        run(place.systemctl("daemon-reload"))


def _have_user_linger(owner: Owner) -> None:
    """Have the user's systemd run from the boot on, not only while somebody is logged in.

    Raises:
        FastlbError: root must allow it; nothing was written.
    """
    if (LINGERING / owner.name).exists():
        return
    try:
        run(["loginctl", "enable-linger", owner.name])
    except FastlbError as error:
        advice = f"let root type `loginctl enable-linger {owner.name}`, then try again"
        raise FastlbError(f"nothing of {owner.name} runs after a boot: {advice}", details=error.details) from error
