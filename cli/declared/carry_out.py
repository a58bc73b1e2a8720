"""Owns carrying out what was asked of a configuration file: from the order to what runs. Runs in the user's shell.

Nothing is begun while there is an error in the file, unless it is asked for. What fails then leaves the others running.
"""

import os
from collections.abc import Mapping, Sequence

import msgspec

from ...supervisor.control.protocol import ReloadParams, RestartParams, ScaleParams
from ...supervisor.errors import EXIT_USAGE, FastlbError
from ...supervisor.home.app_lock import AppLock, is_running
from ...supervisor.home.paths import prepare_app_dir, prepare_home
from ...supervisor.home.stored_config import load_config, save_config
from ...supervisor.settings.declared import declared_settings
from ..apps import paths_of
from ..config_files.apps import FileApps
from ..launching import known_apps
from ..operations import delete, operate, report_each, stop
from ..options import answers_in_json
from ..parallel import ask_each
from .bringing_back import bring_back
from .order import FileOrder
from .plan import Present, Step, plan, removals
from .read import read_ordered
from .report import show_plan, show_printed, show_problems, show_table
from .requests import Verdict, Wanted, judge, variable_key
from .source import AppSource, absolute_file, load_source, save_source
from .starting import apps_at_a_time, start_all

STARTS = ("start", "renew")


def carry_out(order: FileOrder) -> int:
    """Do what is asked of a file, show it, and return the exit code.

    Raises:
        UsageError: the file cannot be read, or says nothing that can be understood.
        FastlbError: as for `read_apps`.
    """
    file = absolute_file(order.file)
    present = {name: _present(name) for name in known_apps()}
    found = read_ordered(order, {name: there.source for name, there in present.items() if there.source}, file)
    verdict = judge(found, order.given, os.environ)
    show_printed(found.printed)
    show_problems(verdict.problems)
    if verdict.errors and (not order.keeps_going or not verdict.wanted):
        return _nothing_done(verdict, found.file)
    steps = _steps(order, found, verdict, present)
    show_plan(steps, is_dry=order.dry_run)
    failed = any(step.action == "refuse" for step in steps)
    if failed and not order.keeps_going:
        return EXIT_USAGE
    code = 0 if order.dry_run else _do(steps, order, file)
    return max(code, EXIT_USAGE if verdict.errors or failed else 0)


def _nothing_done(verdict: Verdict, file: str) -> int:
    hint = "" if not verdict.wanted else "; --keep-going does what is good of it"
    count = len(verdict.errors)
    raise FastlbError(
        f"{file} has {count} {'error' if count == 1 else 'errors'}, and nothing was done{hint}", exit_code=EXIT_USAGE
    )


def _present(name: str) -> Present:
    paths = paths_of(name)
    try:
        config = load_config(paths)
    except FastlbError:
        config = None
    return Present(config, is_running(paths), load_source(paths))


def _steps(order: FileOrder, found: FileApps, verdict: Verdict, present: dict[str, Present]) -> list[Step]:
    file = absolute_file(order.file)
    steps = plan(order.verb, file, verdict.wanted, present)
    if order.only or verdict.errors:
        return steps
    kept = [one.config.name for one in verdict.wanted]
    return removals(file, kept, present) + steps


def _do(steps: Sequence[Step], order: FileOrder, file: str) -> int:
    """Carry out the steps; return the exit code. What goes makes room for what comes."""
    outcomes: dict[str, str | FastlbError] = {}
    former = {step.name: load_config(paths_of(step.name)) for step in steps if step.action == "renew"}
    for actions in (("remove",), ("renew",), ("scale",), ("reload", "restart"), ("define",)):
        due = [step for step in steps if step.action in actions]
        outcomes |= _each(due, order)
    starting = [
        step
        for step in steps
        if step.wanted and step.action in STARTS and not isinstance(outcomes.get(step.name), FastlbError)
    ]
    started = start_all([step.wanted for step in starting if step.wanted], wait=order.wait)
    for name, outcome in started.items():
        outcomes[name] = outcome if isinstance(outcome, FastlbError) else outcome.text.removeprefix(f"{name} ")
    outcomes |= bring_back(steps, former, started)
    _remember(steps, outcomes, file)
    done = [step.name for step in steps if step.name in outcomes]
    code = report_each(done, [outcomes[name] for name in done])
    if not answers_in_json():
        show_table([step.name for step in steps if step.action not in ("remove", "refuse")])
    return code


def _remember(steps: Sequence[Step], outcomes: Mapping[str, str | FastlbError], file: str) -> None:
    """Note where the apps come from that are as the file says."""
    for step in steps:
        if step.wanted and step.action != "refuse" and not isinstance(outcomes.get(step.name), FastlbError):
            save_source(paths_of(step.name), _source_of(step.wanted, file))


def _source_of(wanted: Wanted, file: str) -> AppSource:
    values = msgspec.to_builtins(wanted.config)
    values |= {variable_key(name): value for name, value in wanted.config.env.items()}
    origins = _origins_of_unsaid(wanted) | wanted.origins
    said = {name: values[name] for name in origins}
    return AppSource(file, wanted.app.environment, origins, said)


def _origins_of_unsaid(wanted: Wanted) -> dict[str, str]:
    """Where the settings come from that nobody said and that are not the default all the same."""
    place = wanted.app.place
    known = {"name": str(place), "cwd": f"the folder of {place.file}"}
    unsaid = (it for it in declared_settings() if getattr(wanted.config, it.name) != it.default)
    return {setting.name: known.get(setting.name, "found by looking at the target") for setting in unsaid}


def _each(steps: Sequence[Step], order: FileOrder) -> dict[str, str | FastlbError]:
    by_name = {step.name: step for step in steps}
    if not by_name:
        return {}
    names = list(by_name)
    answers: list[str | FastlbError] = []
    while len(answers) < len(names):
        some = names[len(answers) :][: apps_at_a_time()]
        answers += ask_each(lambda name: _one(by_name[name], order), some)
    return dict(zip(names, answers, strict=True))


def _one(step: Step, order: FileOrder) -> str:
    if step.action == "remove":
        return delete(step.name)
    if step.action == "renew":
        return stop(step.name)
    assert step.wanted
    if step.action == "scale":
        return operate(step.name, "scale", ScaleParams(workers=step.wanted.config.workers))
    if step.action == "define":
        return _define(step)
    config = msgspec.to_builtins(step.wanted.config) if step.differences else None
    if step.action == "restart":
        return operate(step.name, "restart", RestartParams(config=config, environment=order.shell))
    return operate(step.name, "reload", ReloadParams(config=config, environment=order.shell, parallel=order.parallel))


def _define(step: Step) -> str:
    """Store the settings of an app that is not to run yet."""
    assert step.wanted
    paths = paths_of(step.name)
    prepare_home(paths.home)
    prepare_app_dir(paths)
    lock = AppLock.acquire(paths)
    if lock is None:
        raise FastlbError(f"{step.name} was started meanwhile")
    try:
        save_config(paths, step.wanted.config)
    finally:
        lock.release()
    return f"noted: `fastlb start {step.name}` starts it"
