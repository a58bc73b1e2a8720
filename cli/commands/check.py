"""`fastlb check`: could a configuration file be started? Runs in the user's shell."""

import os

import click
import msgspec

from ...supervisor.errors import EXIT_USAGE
from ..config_files.apps import read_apps
from ..config_files.formats.errors import NotReadable
from ..declared.report import show_printed, show_problems
from ..declared.requests import Verdict, judge
from ..file_options import environment_option, file_argument, only_option
from ..options import AppCommand, json_option
from ..output import Output

EXAMPLES = (
    "fastlb check ecosystem.config.js",
    "fastlb check fastlb.toml --only shop",
    "fastlb check ecosystem.config.js --env production --json",
    "fastlb check ecosystem.config.js --stack      # where an error comes from",
)


class CheckedProblem(msgspec.Struct):
    """One thing that is said of a file in `check --json`; `line` and `column` are 0 where they are not known."""

    severity: str
    file: str
    line: int
    column: int
    text: str


class CheckedFile(msgspec.Struct):
    """The result of `check --json`. `apps`: names of those that could be started."""

    ok: bool
    apps: list[str]
    problems: list[CheckedProblem]


@click.command("check", cls=AppCommand, examples=EXAMPLES, short_help="Say whether a FILE of apps can be started.")
@file_argument
@only_option
@environment_option
@click.option("--stack", is_flag=True, help="All that node says of an error that the file throws.")
@json_option
def command(file: str, only: tuple[str, ...], environment: str, stack: bool, as_json: bool) -> int:
    """Say whether `fastlb start FILE` would start the apps of a configuration file, and everything that it would say.

    Nothing is started or changed, but a file that is JavaScript is evaluated. The exit code is 0 if all apps could be
    started, 2 if not. What only an app itself can find out, such as an import that fails, is not looked at.
    """
    try:
        found = read_apps(file, environment=environment, only=only)
    except NotReadable as problem:
        return _refuse(problem, as_json=as_json, stack=stack)
    verdict = judge(found, {}, os.environ)
    if as_json:
        Output.for_results().json(_as_json(verdict))
    else:
        show_printed(found.printed)
        show_problems(verdict.problems)
        _conclude(found.file, verdict)
    return EXIT_USAGE if verdict.errors else 0


def _refuse(problem: NotReadable, *, as_json: bool, stack: bool) -> int:
    """Say why nothing is known of the file; return the exit code."""
    if as_json:
        place = problem.place
        told = CheckedProblem("error", place.file, place.line, place.column, problem.problem)
        Output.for_results().json(CheckedFile(ok=False, apps=[], problems=[told]))
    else:
        Output.for_errors().error(problem.message, (stack and problem.stack) or problem.details)
    return problem.exit_code


def _conclude(file: str, verdict: Verdict) -> None:
    if verdict.errors:
        return
    names = ", ".join(one.config.name for one in verdict.wanted)
    Output.for_results().line(f"{file}: {names} can be started")


def _as_json(verdict: Verdict) -> CheckedFile:
    problems = [
        CheckedProblem(problem.severity, problem.place.file, problem.place.line, problem.place.column, problem.text)
        for problem in verdict.problems
    ]
    return CheckedFile(not verdict.errors, [one.config.name for one in verdict.wanted], problems)
