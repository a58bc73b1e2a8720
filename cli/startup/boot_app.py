"""Owns which apps are to come back after a boot, and what an init system must know of each. Runs in the user's shell.

It reads what a user has saved, perhaps as root: names and values are checked here, and nothing in them may add a line
to a file of root's.
"""

import os
import pwd
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ...supervisor.errors import FastlbError, UsageError
from ...supervisor.home.paths import default_home
from ...supervisor.home.saved_apps import config_of, read_saved
from ...supervisor.settings.app_config import AppConfig
from ...supervisor.settings.app_name import check_app_name

# Above kill_timeout: what follows it (SIGTERM, a second, SIGKILL), and the end of the supervisor itself.
STOP_MARGIN_SECONDS = 15.0
LEAST_DESCRIPTORS = 65536


@dataclass(frozen=True)
class Owner:
    """Whose apps they are. `home`: their $FASTLB_HOME."""

    name: str
    uid: int
    home: Path


@dataclass(frozen=True)
class BootApp:
    """One app that is to come back.

    Attributes:
        name: of the app.
        cwd: its working directory.
        stop_seconds: how long its end may take.
        descriptors: how many its processes may have open.
        finished_codes: exit codes that are no failure: what was to be done is done.
        is_restarted: whether one that has failed is to be started again.
    """

    name: str
    cwd: str
    stop_seconds: float
    descriptors: int
    finished_codes: tuple[int, ...] = ()
    is_restarted: bool = True


def find_owner(username: str) -> Owner:
    """Return whose apps are meant: those of `username`, or of whoever types; empty: nobody was named.

    Raises:
        UsageError: there is no such user.
        FastlbError: the home is another user's, or there is none.
    """
    try:
        account = pwd.getpwnam(username) if username else pwd.getpwuid(os.geteuid())
    except KeyError:
        named = username or f"with uid {os.geteuid()}"
        raise UsageError(f"--username: there is no user {named}") from None
    is_other = account.pw_uid != os.geteuid()
    home = Path(account.pw_dir, ".fastlb") if is_other and not os.environ.get("FASTLB_HOME") else default_home()
    if home.exists() and home.stat().st_uid != account.pw_uid:
        raise FastlbError(f"{home} is not {account.pw_name}'s: set FASTLB_HOME to the directory of that user's apps")
    return Owner(account.pw_name, account.pw_uid, home)


def boot_apps(owner: Owner) -> list[BootApp]:
    """Return the apps that ran when `fastlb save` was given last.

    Raises:
        FastlbError: nothing was saved, or none of it ran.
        UsageError: what was saved cannot stand in a file of an init system.
    """
    saved = read_saved(owner.home)
    apps = []
    for app in saved.apps:
        if not app.is_running:
            continue
        config, _ = config_of(app)
        apps.append(boot_app(msgspec.structs.replace(config, name=app.name)))
    if not apps:
        raise FastlbError("no app ran when it was saved: `fastlb start` what is to come back, then `fastlb save`")
    return apps


def boot_app(config: AppConfig) -> BootApp:
    """Return what an init system must know of an app with these settings.

    Raises:
        UsageError: one of them cannot stand in a file of an init system.
    """
    return BootApp(
        name=check_app_name(config.name),
        cwd=plain(config.cwd or "/", "the working directory"),
        stop_seconds=config.kill_timeout + STOP_MARGIN_SECONDS,
        descriptors=max(LEAST_DESCRIPTORS, config.nofile),
        finished_codes=config.stop_exit_codes,
        is_restarted=config.autorestart,
    )


def run_command(name: str) -> list[str]:
    """Return the command that runs an app in the foreground; -P: no file in its directory is taken for ours."""
    return [*own_command(), "run", "--log-files", name]


def own_command() -> list[str]:
    """Return the beginning of every command line of ours, wherever it is typed."""
    return [plain(sys.executable, "the path of the interpreter"), "-P", "-m", "fastlb"]


def environment(owner: Owner) -> dict[str, str]:
    """Return the variables that an app of a boot has: an init system has hardly any."""
    path = plain(os.environ.get("PATH", os.defpath), "PATH")
    return {"PATH": path, "FASTLB_HOME": plain(str(owner.home), "FASTLB_HOME")}


def plain(text: str, what: str) -> str:
    """Return `text` if it can stand in a line of a file.

    Raises:
        UsageError: it has characters that end a line, or are no text.
    """
    if not text.isprintable():
        raise UsageError(f"{what} ({text!r}) has characters that cannot stand in a file of an init system")
    return text
