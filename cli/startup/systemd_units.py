"""Owns how units of systemd look: systemd.service(5), systemd.exec(5), systemd.target(5). Pure; the user's shell."""

import re
from collections.abc import Mapping, Sequence

from .boot_app import BootApp, Owner, environment, own_command, run_command

MARK = "# Written by `fastlb startup`; `fastlb unstartup` removes it."
WATCHDOG_SECONDS = 30
_QUOTED = re.compile(r"[\s\"'\\;]")

TARGET = """\
{mark}
[Unit]
Description=Apps of {owner} that fastlb runs

[Install]
WantedBy={wanted_by}
"""

UNIT = """\
{mark}
[Unit]
Description={name}, run by fastlb
Documentation=man:systemd.service(5)
After=network.target
PartOf={target}
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
{identity}{variables}
# Output goes to the files that `fastlb logs` reads; the journal has what goes wrong.
ExecStart={run}
ExecReload={reload}
StandardOutput=null
# How long a start takes is bounded by the app's own settings.
TimeoutStartSec=infinity
# Above kill_timeout: what is under way is finished.
TimeoutStopSec={stop_seconds:g}
# SIGTERM to the supervisor alone: it drains the workers.
KillMode=mixed
WatchdogSec={watchdog_seconds}
{restart}
# The kernel ends one worker, which is replaced, and the app goes on.
OOMPolicy=continue
LimitNOFILE={descriptors}
{hardening}
[Install]
WantedBy={target}
"""

# Nothing that implies NoNewPrivileges: apps start sudo and sendmail.
HARDENING = """\
# /usr, /boot and /etc are for reading, unless the app lives there.
ProtectSystem=full
{writable}ProtectControlGroups=yes
"""


def target_name(owner: Owner, *, of_user: bool) -> str:
    """Return what the target of all apps is called; `of_user`: among the units of the user's own manager."""
    return "fastlb.target" if of_user else f"fastlb-{owner.name}.target"


def unit_name(owner: Owner, app: str, *, of_user: bool) -> str:
    """Return what the unit of an app is called; `of_user` as of `target_name`."""
    return f"fastlb-{app}.service" if of_user else f"fastlb-{owner.name}-{app}.service"


def mark_of(owner: Owner) -> str:
    """Return the first line of every file of ours for this user's apps."""
    return f"{MARK} user={owner.name} home={owner.home}"


def units_of(owner: Owner, apps: Sequence[BootApp], *, of_user: bool) -> dict[str, str]:
    """Return all units by their names, the target first."""
    target = target_name(owner, of_user=of_user)
    wanted_by = "default.target" if of_user else "multi-user.target"
    units = {target: TARGET.format(mark=mark_of(owner), owner=owner.name, wanted_by=wanted_by)}
    for app in apps:
        units[unit_name(owner, app.name, of_user=of_user)] = _unit(owner, app, target, of_user=of_user)
    return units


def _unit(owner: Owner, app: BootApp, target: str, *, of_user: bool) -> str:
    return UNIT.format(
        mark=mark_of(owner),
        name=app.name,
        target=target,
        identity="" if of_user else f"User={owner.name}\n",
        variables=_variables(environment(owner)),
        run=command_line(run_command(app.name)),
        reload=command_line([*own_command(), "reload", app.name]),
        stop_seconds=app.stop_seconds,
        watchdog_seconds=WATCHDOG_SECONDS,
        restart=_restart(app),
        descriptors=app.descriptors,
        hardening="" if of_user else HARDENING.format(writable=_writable(app.cwd, str(owner.home))),
    )


def _restart(app: BootApp) -> str:
    if not app.is_restarted:
        return "# It has --no-autorestart.\nRestart=no"
    codes = f"SuccessExitStatus={' '.join(map(str, app.finished_codes))}\n" if app.finished_codes else ""
    return f"{codes}# Not after `fastlb stop`.\nRestart=on-failure\nRestartSec=5"


def _writable(*directories: str) -> str:
    """Return the lines that keep directories writable; / would undo everything."""
    return "".join(f"ReadWritePaths={word(f'-{path}')}\n" for path in directories if path != "/")


def _variables(variables: Mapping[str, str]) -> str:
    return "\n".join(f"Environment={word(f'{name}={value}')}" for name, value in variables.items())


def command_line(command: Sequence[str]) -> str:
    """Return a command as ExecStart= reads it: $ is one of a variable unless it is doubled."""
    return " ".join(word(argument.replace("$", "$$")) for argument in command)


def word(text: str) -> str:
    """Return one word as systemd reads it: % is doubled, as it begins a specifier; quotes are around blanks."""
    text = text.replace("%", "%%")
    if not _QUOTED.search(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
