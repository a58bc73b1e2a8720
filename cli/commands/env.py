"""`fastlb env`: what a worker finds in its environment. Runs in the user's shell."""

import click

from ...supervisor.errors import FastlbError
from ..instances import Instance, chosen_instances
from ..options import AppCommand, complete_names, json_option
from ..output import Output

EXAMPLES = ("fastlb env 0", "fastlb env shop --json")


@click.command("env", cls=AppCommand, examples=EXAMPLES, short_help="Print the environment of a worker.")
@click.argument("name", shell_complete=complete_names)
@json_option
def command(name: str, as_json: bool) -> None:
    """Print the variables with which a worker's process was started, secrets too. Of an app: those of its first worker.

    It is what the kernel knows of the process; what the program has changed since is not in it.
    """
    instance = next((found for found in chosen_instances((name,)) if found.worker and found.worker.pid), None)
    if instance is None:
        raise FastlbError(f"{name} does not run, so it has no environment")
    variables = _environment(instance)
    if as_json:
        Output.for_results().json(variables)
        return
    for key, value in variables.items():
        Output.for_results().line(f"{key}: {value}")


def _environment(instance: Instance) -> dict[str, str]:
    assert instance.worker is not None
    try:
        with open(f"/proc/{instance.worker.pid}/environ", "rb") as file:
            words = file.read().split(b"\0")
    except OSError as error:
        raise FastlbError(f"cannot read the environment of worker {instance.pm_id}: {error.strerror}") from error
    pairs = (word.decode(errors="backslashreplace").partition("=") for word in words if b"=" in word)
    return {key: value for key, _, value in sorted(pairs)}
