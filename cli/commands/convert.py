"""`fastlb convert`: a configuration file in our words. Runs in the user's shell."""

import os

import click

from ...supervisor.errors import EXIT_USAGE
from ...supervisor.processes.working_directory import name_of_directory
from ..config_files.apps import read_apps
from ..declared.report import show_printed, show_problems
from ..declared.toml_form import file_in_our_words
from ..file_options import file_argument, only_option
from ..options import AppCommand
from ..output import Output

EXAMPLES = ("fastlb convert ecosystem.config.js > fastlb.toml", "fastlb convert apps.yaml --only shop")


@click.command("convert", cls=AppCommand, examples=EXAMPLES, short_help="Print a FILE of apps as fastlb.toml.")
@file_argument
@only_option
def command(file: str, only: tuple[str, ...]) -> int:
    """Print a configuration file, PM2's for one, as fastlb.toml, to be put beside it.

    What has no effect here stands in a comment. What was computed (os.cpus().length) is written as the number that
    it is on this machine. Values of environment variables are printed, too.
    """
    found = read_apps(file, only=only)
    show_printed(found.printed)
    if found.errors:
        show_problems(found.errors)
        return EXIT_USAGE
    directory = name_of_directory(os.path.dirname(file) if file != "-" else "")
    Output.for_results().line(file_in_our_words(found.apps, directory, found.problems).rstrip("\n"))
    return 0
