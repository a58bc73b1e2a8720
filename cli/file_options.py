"""Owns the arguments that commands for configuration files share. Runs in the user's shell."""

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..supervisor.errors import UsageError


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
