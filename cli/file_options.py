"""Owns the arguments that commands for configuration files share. Runs in the user's shell."""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec
from click.shell_completion import CompletionItem

from ..supervisor.errors import UsageError

if TYPE_CHECKING:
    from .declared.order import FileOrder, Verb

# Where a command's context has the word behind --env that is no KEY=VALUE.
CHOSEN_ENVIRONMENT = "fastlb.environment"


class OrderOptions(msgspec.Struct, frozen=True):
    """What options say that are for configuration files only. `environment`: None if none was given."""

    only: tuple[str, ...]
    keep_going: bool
    dry_run: bool
    environment: str | None

    def order(self, verb: "Verb", file: str, **more: Any) -> "FileOrder":
        """Return what is asked of `file`; arguments as in FileOrder."""
        from .declared.order import FileOrder

        return FileOrder(
            verb=verb,
            file=file,
            environment=self.environment,
            only=self.only,
            keeps_going=self.keep_going,
            dry_run=self.dry_run,
            **more,
        )

    def refuse_without_file(self, command: str) -> None:
        """Raise if one of them was given to `command` where there is no file.

        Raises:
            UsageError: names the option.
        """
        said = {"--only": self.only, "--keep-going": self.keep_going, "--dry-run": self.dry_run}
        for option, value in said.items():
            if value:
                raise UsageError(f"{command} {option}: this is for a configuration file, and none is named")
        if self.environment is not None:
            raise UsageError(
                f"{command} --env: {self.environment!r} is not KEY=VALUE, and no configuration file is named of which"
                " it could be an environment"
            )


def order_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what is for configuration files only; the function gets it as `asked`, an OrderOptions."""

    @functools.wraps(function)
    def with_asked(*args: Any, only: tuple[str, ...], keep_going: bool, dry_run: bool, **kwargs: Any) -> Any:
        environment = click.get_current_context().meta.get(CHOSEN_ENVIRONMENT)
        return function(*args, asked=OrderOptions(only, keep_going, dry_run, environment), **kwargs)

    going = "Of a FILE do what is good, although there are errors in it."
    with_asked = click.option("--dry-run", is_flag=True, help="Only show what would be done with a FILE.")(with_asked)
    with_asked = click.option("--keep-going", is_flag=True, help=going)(with_asked)
    return only_option(with_asked)


def one_app_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--only` to a command that takes one app of a file; the function gets it as `asked`, an OrderOptions."""

    @functools.wraps(function)
    def with_asked(*args: Any, only: tuple[str, ...], **kwargs: Any) -> Any:
        environment = click.get_current_context().meta.get(CHOSEN_ENVIRONMENT)
        asked = OrderOptions(only, keep_going=False, dry_run=False, environment=environment)
        return function(*args, asked=asked, **kwargs)

    return only_option(with_asked)


def chosen_environment_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--env NAME` to a command with `order_options` that has no other --env."""

    def note(ctx: click.Context, parameter: click.Parameter, given: str | None) -> None:
        if given is not None:
            ctx.meta[CHOSEN_ENVIRONMENT] = _environment(ctx, parameter, given)

    help_text = "Put the variables of env_NAME in a FILE over those of env, now and later."
    return click.option("--env", metavar="NAME", expose_value=False, callback=note, help=help_text)(function)


def the_file(names: Sequence[str]) -> str:
    """Return the configuration file among the targets of a command; empty: there is none.

    Raises:
        UsageError: there is one, and something else beside it.
    """
    if not any("." in name or name == "-" for name in names):
        return ""
    from .config_files.reading import is_config_file
    from .launching import known_apps

    files = [name for name in names if is_config_file(name) and name not in known_apps()]
    if files and len(names) > 1:
        raise UsageError(f"{files[0]} is a configuration file, which is given alone: --only NAME,... chooses of it")
    return files[0] if files else ""


def take_environment(args: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the last word behind `--env` that is no KEY=VALUE but chooses an environment, and the other arguments."""
    chosen, others = None, list(args)
    for at in reversed(range(len(others))):
        word = others[at]
        if word.startswith("--env=") and "=" not in word.removeprefix("--env="):
            chosen, taken = word.removeprefix("--env="), 1
        elif word == "--env" and at + 1 < len(others) and "=" not in others[at + 1] and others[at + 1][:1] != "-":
            chosen, taken = others[at + 1], 2
        else:
            continue
        del others[at : at + taken]
        break
    return chosen, others


def file_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument FILE; `-` is standard input."""
    return click.argument("file", metavar="FILE", shell_complete=_complete_files)(function)


def only_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--only`: names, separated by commas or given several times."""
    add = click.option(
        "--only", multiple=True, metavar="NAME,...", callback=_names, help="Of a FILE only the apps of these names."
    )
    return add(function)


def environment_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--env NAME`, for commands that have no option --env of another meaning."""
    add = click.option(
        "--env",
        "environment",
        default="",
        metavar="NAME",
        callback=_environment,
        help="Put the variables of env_NAME in the file over those of env.",
    )
    return add(function)


def _names(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for text in given for name in text.replace(",", " ").split())


def _environment(ctx: click.Context, _: click.Parameter, given: str) -> str:
    if "=" in given:
        raise UsageError(f"{ctx.command_path} --env: give the name of an environment of the file, such as production")
    return given


def _complete_files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]
