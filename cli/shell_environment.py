"""Owns the environment of the user's shell on its way to a supervisor that runs. Runs in the user's shell."""

import os

from ..supervisor.errors import UsageError

# A message of the control socket holds 1 MiB, and a third is added to bytes in JSON.
MOST_BYTES = 700_000
UPDATE_ENV_HELP = "New workers inherit the environment of this shell, instead of that of the start."


def shell_environment(update_env: bool) -> bytes | None:
    """Return the environment as in /proc/PID/environ; None unless `update_env` asks for it.

    Raises:
        UsageError: it is too large to be sent.
    """
    if not update_env:
        return None
    environment = b"\0".join(name + b"=" + value for name, value in os.environb.items())
    if len(environment) > MOST_BYTES:
        raise UsageError(
            f"--update-env: the environment of this shell has {len(environment)} bytes, and at most {MOST_BYTES} can"
            " be sent: take large variables out of it (`env -u NAME fastlb ...`)"
        )
    return environment
