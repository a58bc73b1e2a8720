"""`fastlb monit`: the list, renewed. Runs in the user's shell."""

import click

from ..options import AppCommand, complete_names

EXAMPLES = ("fastlb monit", "fastlb monit shop")


@click.command("monit", cls=AppCommand, examples=EXAMPLES, short_help="Watch what runs: list --watch.")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@click.pass_context
def command(context: click.Context, names: tuple[str, ...]) -> None:
    """Show the list, and renew it when something happens and every two seconds, until ^C.

    A console with more is to come.
    """
    from .list import command as list_command

    context.invoke(list_command, names=names, as_json=False, instances=None, watch=True)
