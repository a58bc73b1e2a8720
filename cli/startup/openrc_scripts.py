"""Owns how scripts of OpenRC look: openrc-run(8), supervise-daemon(8). Pure; the user's shell."""

import shlex
from collections.abc import Sequence

from .boot_app import BootApp, Owner, environment, run_command
from .systemd_units import mark_of

KILL_SECONDS = 5

SCRIPT = """\
#!/sbin/openrc-run
{mark}
# shellcheck shell=sh disable=SC2034

name={name}
description={description}
supervisor=supervise-daemon
command={program}
command_args={arguments}
command_user={user}
pidfile="/run/${{RC_SVCNAME}}.pid"
respawn_delay=5
respawn_max={respawn_max}
# What is under way is finished.
retry="TERM/{stop_seconds:.0f}/KILL/{kill_seconds}"
rc_ulimit="-n {descriptors}"
extra_started_commands="reload"
{variables}

depend() {{
    use net dns logger
    after firewall
}}

reload() {{
    ebegin "Reloading ${{name}}"
    supervise-daemon "${{RC_SVCNAME}}" --signal HUP --pidfile "${{pidfile}}"
    eend $?
}}
"""


def script_name(owner: Owner, app: str) -> str:
    """Return what the service of an app is called."""
    return f"fastlb-{owner.name}-{app}"


def scripts_of(owner: Owner, apps: Sequence[BootApp]) -> dict[str, str]:
    """Return all scripts by the names of their services."""
    return {script_name(owner, app.name): _script(owner, app) for app in apps}


def _script(owner: Owner, app: BootApp) -> str:
    program, *arguments = run_command(app.name)
    variables = environment(owner).items()
    return SCRIPT.format(
        mark=mark_of(owner),
        name=shlex.quote(app.name),
        description=shlex.quote(f"{app.name}, run by fastlb"),
        program=shlex.quote(program),
        # It is split into words again, by a shell.
        arguments=shlex.quote(shlex.join(arguments)),
        user=shlex.quote(owner.name),
        respawn_max=0 if app.is_restarted else 1,
        stop_seconds=app.stop_seconds,
        kill_seconds=KILL_SECONDS,
        descriptors=app.descriptors,
        variables="\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables),
    )
