"""Owns how scripts of OpenRC look: openrc-run(8), supervise-daemon(8), start-stop-daemon(8). Pure; the user's shell.

supervise-daemon starts again whatever has ended, also with exit code 0; respawn_max bounds how often (0: for ever), and
once is the least. An app that is not to be started again is therefore none of its: start-stop-daemon starts it.
"""

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
{supervision}
command={program}
command_args={arguments}
command_user={user}
pidfile="/run/${{RC_SVCNAME}}.pid"
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
    {signal_sender} --signal HUP --pidfile "${{pidfile}}"
    eend $?
}}
"""

SUPERVISED = """\
supervisor=supervise-daemon
respawn_delay=5
# For ever: it is started again after `fastlb stop`, too; `rc-service SERVICE stop` ends it.
respawn_max=0"""

ONCE = """\
# It has --no-autorestart, and supervise-daemon would start it again at least once.
command_background=yes"""


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
        supervision=SUPERVISED if app.is_restarted else ONCE,
        signal_sender='supervise-daemon "${RC_SVCNAME}"' if app.is_restarted else "start-stop-daemon",
        stop_seconds=app.stop_seconds,
        kill_seconds=KILL_SECONDS,
        descriptors=app.descriptors,
        variables="\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables),
    )
