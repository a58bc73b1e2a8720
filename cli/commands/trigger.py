"""`fastlb trigger`: an action of the workers of an app. Runs in the user's shell."""

from collections.abc import Generator, Iterator
from typing import Any

import click
import msgspec

from ...supervisor.control.client import NotRunning
from ...supervisor.control.protocol import TriggerParams, WorkerAnswer
from ...supervisor.errors import EXIT_FAILURE, UsageError
from ..apps import connected
from ..operations import refusal_when_stopped
from ..options import AppCommand, complete_names, json_option
from ..output import Output
from ..targets import resolve_target

EXAMPLES = (
    "fastlb trigger shop                      # which actions there are",
    "fastlb trigger shop stacks --worker 0    # where it stands, also blocked",
    "fastlb trigger shop profile 10           # a flame graph of ten seconds",
    "fastlb trigger api heapdump --worker 1   # of a Node worker: a file",
    "fastlb trigger shop clear-cache books    # one that the app offers",
)
TIMEOUT_HELP = "How long an answer may take. Default: 30."
# What the supervisor may need beside the time that an action has: to see that a worker is blocked, to write a file.
# An action that lasts because it was asked to does so for LONGEST seconds at most.
MARGIN, LONGEST = 30.0, 300.0


class TriggerAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How an action ended in one worker, as `--json` tells it.

    Attributes:
        app, worker, pid: whose answer it is.
        ok: it was done.
        text: what came of it, or why not.
        file: the path of what it has written; empty: nothing.
    """

    app: str
    worker: int
    pid: int
    ok: bool
    text: str
    file: str = ""


@click.command("trigger", cls=AppCommand, examples=EXAMPLES, short_help="Have the workers of an app do something.")
@click.argument("name", shell_complete=complete_names)
@click.argument("action", default="")
@click.argument("param", required=False)
@click.option("--worker", type=click.IntRange(min=0), metavar="N", help="The worker of this number alone.")
@click.option("--timeout", type=float, default=30.0, metavar="SECONDS", help=TIMEOUT_HELP)
@json_option
def command(name: str, as_json: bool, **asked: Any) -> int:
    """Have each worker do ACTION, with PARAM if it takes one, and print what each answers. No ACTION: which there are.

    Python workers have stacks, heap, gc and profile, Node workers heapdump and cpuprofile; and what the app offers.
    Files that an action writes are in the directory of the app's logs. The command fails if it failed in any worker.
    """
    target = resolve_target(name)
    params = TriggerParams(**asked)
    if params.worker is None and len(target.workers) == 1:
        (params.worker,) = target.workers
    answers = ask(target.name, params)
    if as_json:
        return print_json(target.name, list(answers))
    return print_text(target.name, answers)


def ask(name: str, params: TriggerParams) -> Generator[WorkerAnswer, None, None]:
    """Yield the answer of each worker.

    Raises:
        UsageError: there is no such action.
        FastlbError: the app is stopped, or its supervisor refuses.
    """
    try:
        with connected(name, params.timeout + LONGEST + MARGIN) as client:
            for answer in client.trigger(params):
                if answer.is_unknown:
                    raise UsageError(f"{name}: {answer.text}")
                yield answer
    except NotRunning:
        raise refusal_when_stopped(name, "trigger") from None


def print_text(name: str, answers: Iterator[WorkerAnswer]) -> int:
    """Print each answer when it comes; return the exit code."""
    exit_code = 0
    for answer in answers:
        who = f"{name}: worker {answer.worker}"
        if not answer.ok:
            exit_code = EXIT_FAILURE
            Output.for_errors().error(shown(who, answer.text))
            continue
        output = Output.for_results()
        output.line(shown(who, answer.text))
        if answer.file:
            output.line(answer.file)
        output.flush()
    return exit_code


def shown(who: str, text: str) -> str:
    """Return an answer behind whose it is; several lines stand below."""
    return f"{who}:\n{text}" if "\n" in text else f"{who}: {text}"


def print_json(name: str, answers: list[WorkerAnswer]) -> int:
    """Print all answers; return the exit code."""
    told = [
        TriggerAnswer(app=name, worker=one.worker, pid=one.pid, ok=one.ok, text=one.text, file=one.file)
        for one in sorted(answers, key=lambda one: one.worker)
    ]
    Output.for_results().json(told)
    return 0 if all(one.ok for one in told) else EXIT_FAILURE
