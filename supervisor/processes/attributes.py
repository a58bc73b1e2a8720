"""Owns what a worker's process is to be besides its program: user, groups, limits, priority, CPUs, umask.

Supervisor, and shell, which refuses what cannot be. It finds out names and numbers; become.py carries it out, in the
process itself.
"""

import grp
import os
import pwd
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..errors import UsageError
from ..settings.app_config import AppConfig
from ..settings.socket_mode import parse_mode
from .spawn import find_program

BECOME = Path(__file__).with_name("become.py")


class ProcessAttributes(msgspec.Struct, frozen=True):
    """What one process is to be; None, 0 or empty: as it is.

    Attributes:
        uid, gid, groups: numbers; `groups` are all supplementary ones. Together or not at all.
        nofile: limit of open descriptors, soft and hard.
        nice: its priority, from -20 (first) to 19.
        cpus: numbers of those that it may run on.
        umask: of the files that it makes.
        parent, death_signal: our pid, and the signal that the kernel sends the process when we die.
        listeners: names of the listening sockets that it has from descriptor 3 on, told as systemd does.
    """

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()
    nofile: int = 0
    nice: int = 0
    cpus: tuple[int, ...] = ()
    umask: int | None = None
    parent: int = 0
    death_signal: int = 0
    listeners: tuple[str, ...] = ()


NOTHING = ProcessAttributes()


@dataclass(frozen=True)
class Identity:
    """Whose process it is; `name` and `home` are of the user, empty when there is no such account."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str = ""
    home: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """What a login of this user would find."""
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name} if self.name else {}


def identity_of(config: AppConfig) -> Identity | None:
    """Return whose processes the workers of an app are; None: ours.

    Raises:
        UsageError: there is no such user or group, or we may not start processes as them.
    """
    if not config.uid and not config.gid:
        return None
    account = _account(config.uid) if config.uid else None
    uid = account.pw_uid if account else (_number("--uid", config.uid) if config.uid else os.geteuid())
    gid = _group(config.gid) if config.gid else (account.pw_gid if account else uid)
    groups = tuple(os.getgrouplist(account.pw_name, gid)) if account else (gid,)
    if os.geteuid() != 0 and (uid, gid) != (os.geteuid(), os.getegid()):
        raise UsageError("--uid, --gid: only root may start workers as somebody else: leave them out, or run as root")
    return Identity(uid, gid, groups, account.pw_name if account else "", account.pw_dir if account else "")


def attributes_of(config: AppConfig, worker_id: int) -> ProcessAttributes:
    """Return what the process of a worker is to be.

    Raises:
        UsageError: as `identity_of`.
    """
    identity = identity_of(config)
    attributes = ProcessAttributes(
        nofile=config.nofile,
        nice=config.nice,
        cpus=(cpu_of(worker_id),) if config.pin_cpus else (),
        umask=parse_mode(config.umask) if config.umask else None,
    )
    if identity is None:
        return attributes
    return msgspec.structs.replace(attributes, uid=identity.uid, gid=identity.gid, groups=identity.groups)


def cpu_of(worker_id: int) -> int:
    """Return the CPU of a worker that is to have one: the first worker has the first that we may use, and so on."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[worker_id % len(usable)]


def becoming(attributes: ProcessAttributes, command: list[str], env: Mapping[str, str]) -> list[str]:
    """Return the command that starts `command`, with the environment `env`, with these attributes.

    Raises:
        OSError: its program is not on the PATH of `env`.
    """
    if attributes == NOTHING:
        return command
    # Nothing of the app's environment or directory may change what runs as root.
    start = [sys.executable, "-I", "-S", str(BECOME), msgspec.json.encode(attributes).decode()]
    return [*start, find_program(command[0], env), *command[1:]]


def _account(user: str) -> pwd.struct_passwd | None:
    """Return the account of a name or number; None: a number that has none."""
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        if user.isdecimal():
            return None
        raise UsageError(f"--uid {user}: there is no such user") from None


def _group(group: str) -> int:
    if group.isdecimal():
        return _number("--gid", group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"--gid {group}: there is no such group") from None


def _number(option: str, text: str) -> int:
    number = int(text)
    if number > 2**32 - 2:  # (uid_t) -1 means: leave it
        raise UsageError(f"{option} {text}: give at most {2**32 - 2}")
    return number
