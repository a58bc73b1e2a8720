"""Owns what `show` prints of an app, in which order and words.

Runs in the user's shell. Scripts look for lines with the words memory, cpu, restart, wait_ready and balance in it: of
the first two there is exactly one each, whose second word is a whole number with its unit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..supervisor.control.protocol import AppDetails, WorkerEntry
from ..supervisor.settings.declared import declared_settings, format_setting
from .app_table import NOTHING, format_ids, format_uptime, worker_table
from .output import Column, Output, Table

PAIR_COLUMNS = (Column("name", "name"), Column("value"))
# What is told in the first lines, or would be a second line with the word that a script looks for.
FIRST_SETTINGS = ("wait_ready", "balance")
WORDS_OF_ONE_LINE = ("memory", "cpu")
NEXT = "settings after the next reload"
OLDER = "settings of workers of generation"


class Below(Output):
    """What a script reads below the first lines: no line of free text has the words that it looks for.

    An app that has died with "heap out of memory" would otherwise have two lines of its memory.
    """

    def heading(self, text: str) -> None:
        """As Output."""
        super().heading(_unlike(text))

    def line(self, text: str = "") -> None:
        """As Output."""
        super().line(_unlike(text))


def _unlike(text: str) -> str:
    return text.replace("memory", "Memory").replace("cpu", "CPU")


def print_details(details: AppDetails, namespace: str, output: Output) -> None:
    """Print everything that is known of an app."""
    output.pairs(_first_lines(details, namespace))
    output = output if output.is_terminal else Below.for_results()
    if details.workers:
        output.heading("workers")
        output.table(worker_table(details.workers))
    _print_operations(details, output)
    _print_autoscaling(details, output)
    _print_alerts(details, output)
    _print_words(details, output)
    logs = details.logs if any(details.logs.values()) else {}
    counted = {
        "dispatcher": details.dispatcher,
        "messages": details.messages,
        "memory": details.memory,
        "logs": logs,
    }
    otherwise = {f"{OLDER} {number}": _own_lines(settings) for number, settings in details.older_settings.items()}
    otherwise |= {NEXT: _own_lines(details.next_settings)}
    sections = {"settings": _settings(details), **otherwise, **counted, "files": details.files}
    for title, values in sections.items():
        if values:
            output.heading(title)
            output.table(Table(PAIR_COLUMNS, [[key, _text(value)] for key, value in values.items()]))
    if details.last_exits:
        output.heading("last exits")
    for ended in details.last_exits:
        output.line(f"worker {ended.worker_id} (pid {ended.pid}) at {ended.at}: {ended.reason}")
        for line in ended.error_lines:
            output.line(f"    {line}")
    if details.last_error:
        output.heading("last error")
        output.line(details.last_error)


def _print_operations(details: AppDetails, output: Output) -> None:
    if details.operations:
        output.heading("operations")
    for operation in details.operations:
        output.line(f"{operation.operation} {operation.state}, asked for by {operation.by}")


def _print_autoscaling(details: AppDetails, output: Output) -> None:
    if scaling := details.autoscaling:
        mode = "pinned" if scaling.mode == "pinned" else "as the load asks for"
        output.heading("autoscaling")
        output.line(f"{mode}, {scaling.min_instances} to {scaling.max_instances} workers")
        if scaling.last_decision:
            output.line(f"{scaling.decided_at}: {scaling.last_decision}")


def _print_alerts(details: AppDetails, output: Output) -> None:
    if details.alerts:
        output.heading("alerts")
    for alert in details.alerts:
        output.line(f"{alert.name} since {alert.began_at}: {alert.text}")


def _print_words(details: AppDetails, output: Output) -> None:
    """Print what workers say of themselves, and what is in their way."""
    if saying := [worker for worker in details.workers if worker.said]:
        output.heading("said")
        for worker in saying:
            output.line(f"worker {worker.id}: {worker.said}")
    impeded = [worker for worker in details.workers if worker.impediment]
    if impeded:
        output.heading("impediments")
        for worker in impeded:
            output.line(f"worker {worker.id} {worker.impediment}")


def _first_lines(details: AppDetails, namespace: str) -> dict[str, str]:
    workers = details.workers
    is_up = details.pid is not None
    lines = {
        "name": details.name,
        "id": format_ids(details.pm_ids),
        "namespace": namespace,
        "status": details.status,
        "mode": details.mode,
        "script": details.target,
        "cwd": details.cwd,
        "pid": str(details.pid) if is_up else NOTHING,
        "uptime": format_uptime(details.uptime_s) if is_up else NOTHING,
        "listens on": " ".join(details.binds),
        "balance": details.balance,
        "wait_ready": _text(bool(details.settings.get("wait_ready"))),
        "restarts": str(details.restarts),
        "next by cron": details.cron_next_at.replace("T", " "),
        "unstable restarts": str(sum(worker.unstable_restarts for worker in workers)),
        "memory": memory_text(workers, int(details.settings.get("max_memory_restart") or 0)),
        "cpu": cpu_text(workers),
    }
    for word in WORDS_OF_ONE_LINE:
        lines[word] += _of_the_same_word(details, word)
    return {name: value for name, value in lines.items() if value}


def memory_text(workers: Sequence[WorkerEntry], limit_bytes: int) -> str:
    """Return `312M of 1536M`: of the worker with the most, as the limit is for each. `limit_bytes`: 0 for none."""
    used = [worker.rss_bytes for worker in workers if worker.pid] or [0]
    limit = f" of {limit_bytes >> 20}M" if limit_bytes else ""
    others = f" in the largest of {len(used)} workers, {sum(used) >> 20}M in all" if len(used) > 1 else ""
    return f"{max(used) >> 20}M{limit}{others}"


def cpu_text(workers: Sequence[WorkerEntry]) -> str:
    """Return `12%`: of one CPU, as one worker has it on average."""
    used = [worker.cpu_percent for worker in workers if worker.pid] or [0.0]
    others = f" on average of {len(used)} workers, {sum(used):.0f}% in all" if len(used) > 1 else ""
    return f"{sum(used) / len(used):.0f}%{others}"


def _of_the_same_word(details: AppDetails, word: str) -> str:
    """Return the other settings about it, which must not have lines of their own."""
    settings = [setting for setting in declared_settings() if word in setting.name]
    texts = [
        f"; {setting.name} {format_setting(setting, details.settings[setting.name])}"
        for setting in settings
        if setting.name != "max_memory_restart"
        and details.settings.get(setting.name) not in (None, "", setting.default)
    ]
    next_texts = [f"; next {name} {text}" for name, text in _typed(details.next_settings).items() if word in name]
    return "".join(texts + next_texts)


def _settings(details: AppDetails) -> dict[str, str]:
    """Return the settings that have a value, as one would type them; secrets are hidden already."""
    values = {setting.name: details.settings.get(setting.name) for setting in declared_settings()}
    origins = details.origins
    return {
        setting.name: format_setting(setting, values[setting.name])
        + (f" (from {origins[setting.name]})" if setting.name in origins else "")
        for setting in declared_settings()
        if values[setting.name] not in (None, "", [], (), {})
        and setting.name not in FIRST_SETTINGS
        and not any(word in setting.name for word in WORDS_OF_ONE_LINE)
    }


def _own_lines(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return settings as one would type them, of those that may have lines of their own."""
    typed = _typed(settings).items()
    return {name: text for name, text in typed if not any(word in name for word in WORDS_OF_ONE_LINE)}


def _typed(settings: Mapping[str, Any]) -> dict[str, str]:
    declared = [setting for setting in declared_settings() if setting.name in settings]
    return {setting.name: format_setting(setting, settings[setting.name]) for setting in declared}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_text(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
