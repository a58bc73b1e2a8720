"""`fastlb completion`: what a shell needs to complete our commands. Runs in the user's shell."""

import click
from click.shell_completion import get_completion_class

from ...supervisor.errors import UsageError
from ..options import AppCommand
from ..output import Output

EXAMPLES = (
    'eval "$(fastlb completion bash)"    # in ~/.bashrc',
    'eval "$(fastlb completion zsh)"     # in ~/.zshrc',
    "fastlb completion fish > ~/.config/fish/completions/fastlb.fish",
)
SHELLS = ("bash", "zsh", "fish")
# So that the link of PM2's name is completed with the same words.
ALSO_AS_PM2 = {
    "bash": "complete -o nosort -F _fastlb_completion pm2\n",
    "zsh": "compdef _fastlb_completion pm2\n",
    "fish": 'complete --no-files --command pm2 --arguments "(_fastlb_completion)"\n',
}


@click.command("completion", cls=AppCommand, examples=EXAMPLES, short_help="Print completion for a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the lines by which bash, zsh or fish complete commands, options, names of apps, and files where files are
    meant; also for `pm2`, if it is a link to here."""
    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f"fastlb completion: there is none for {shell}")
    completing = found(click.Group(), {}, "fastlb", "_FASTLB_COMPLETE")
    # Not source(), which starts a bash to learn its version.
    text = completing.source_template % completing.source_vars()
    Output.for_results().line((text.strip() + "\n" + ALSO_AS_PM2[shell]).rstrip("\n"))
