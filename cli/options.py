"""Owns the form of every command: help that ends with examples, the explanation of an option that does not
exist, and the arguments that many commands share.

Runs in the user's shell.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..supervisor.errors import UsageError
from ..supervisor.suggestions import nearest

# Where a command's context has whether answers are to be JSON.
JSON_ANSWERS = "fastlb.json_answers"


class AppCommand(click.Command):
    """A command whose help ends with `examples`: lines as one would type them."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.params.append(no_color_option())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click; an unknown option is answered with the one that was meant.

        Raises:
            UsageError: there is no such option.
        """
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            unknown = error.option_name
            what_to_do = self.what_to_do(unknown, _value_after(unknown, given)) or f"see {ctx.command_path} --help"
            raise UsageError(f"{ctx.command_path} has no option {unknown}; {what_to_do}") from None

    def what_to_do(self, unknown: str, value: str) -> str:
        """Return what to do instead of giving the option `unknown`, behind which stood `value` (may be empty)."""
        known = [name for parameter in self.params for name in (*parameter.opts, *parameter.secondary_opts)]
        meant = nearest(unknown, [name for name in known if name.startswith("--")])
        return f"did you mean {meant}?" if meant else ""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One list for each section that the options name."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and isinstance(parameter, click.Option):
                sections.setdefault(getattr(parameter, "section", "Options"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def names_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument NAMES: one name, several, or `all`."""
    add = click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_names)
    return add(function)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def json_answers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json` to a command that does something to apps: how it ended for each is told in JSON."""

    def remember(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
        ctx.meta[JSON_ANSWERS] = asked

    about = "Print how it ended for each app as JSON, for programs."
    return click.option("--json", is_flag=True, expose_value=False, callback=remember, help=about)(function)


def called_as_pm2() -> bool:
    """Whether the command was typed as `pm2`, by a link to it."""
    return os.path.basename(sys.argv[0]) == "pm2"


def answers_in_json() -> bool:
    """Whether the command that runs was given the `--json` of `json_answers`."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(JSON_ANSWERS))


def no_color_option() -> click.Option:
    """Return `--no-color`: it may stand before and behind the command's name."""

    def refuse_color(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
        if asked:
            ctx.color = False

    return click.Option(["--no-color"], is_flag=True, expose_value=False, callback=refuse_color, help="No colours.")


def complete_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Offer the names of known apps to the shell."""
    from ..supervisor.home.known_apps import list_apps
    from ..supervisor.home.paths import default_home

    return [name for name in list_apps(default_home()) if name.startswith(incomplete)]


def complete_target(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the apps that do not run, which can be started by name, and files."""
    from ..supervisor.home.app_lock import is_running
    from ..supervisor.home.known_apps import list_apps
    from ..supervisor.home.paths import AppPaths, default_home

    home = default_home()
    stopped = [name for name in list_apps(home) if name.startswith(incomplete) and not is_running(AppPaths(home, name))]
    return [*map(CompletionItem, stopped), CompletionItem(incomplete, type="file")]


def _value_after(option: str, args: Sequence[str]) -> str:
    """Return the value that was typed behind `option`: the next word, or the rest of the same behind `=`."""
    for at, word in enumerate(args):
        if word == option:
            following = args[at + 1] if at + 1 < len(args) else ""
            return "" if following.startswith("-") else following
        if word.startswith(option + "="):
            return word[len(option) + 1 :]
    return ""
