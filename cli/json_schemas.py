"""Owns docs/json/*.json: the schemas of what `--json` prints, made from the types that it is made of.

python -m fastlb.cli.json_schemas docs/json
"""

import sys
from pathlib import Path
from typing import Any

import msgspec

from ..supervisor.control.protocol import AppDetails, AppEntry
from .backup import WrittenBackup
from .commands.advise import AdvisedApp
from .commands.alerts import AppAlerts
from .commands.check import CheckedFile
from .commands.cleardump import Forgotten
from .commands.config import ShownSetting
from .commands.init import WrittenConfig
from .commands.report import Report
from .commands.restore import Restored
from .commands.save import SavedFile
from .commands.trigger import TriggerAnswer
from .commands.version import Version
from .doctor.finding import Diagnosis
from .instances import WorkerNumber
from .operations import Answer

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class EventLine(msgspec.Struct):
    """One line of `events --json`; what else it has depends on the event: docs/events.md."""

    time: str
    level: str
    event: str
    app: str


class LogLine(msgspec.Struct):
    """One line of `logs --json` and `run --json`, but for one that the app wrote as JSON, which stays as it is."""

    timestamp: str | None
    app: str
    worker: int | None
    pid: int | None
    stream: str
    message: str


class Figures(msgspec.Struct):
    """What PM2 measures: bytes, and percent of one CPU."""

    memory: int
    cpu: float


class Pm2Process(msgspec.Struct):
    """A worker as PM2's programs expect it; pm2_env has PM2's names and units."""

    pid: int
    name: str
    pm_id: int
    pm2_env: dict[str, Any]
    monit: Figures


# What a command prints, by the name of its schema; answers: every command that does something to apps.
PRINTED: dict[str, Any] = {
    "list": list[AppEntry],
    "show": AppDetails,
    "env": dict[str, str],
    "answers": list[Answer],
    "workers": list[WorkerNumber],
    "save": SavedFile,
    "cleardump": Forgotten,
    "backup": WrittenBackup,
    "restore": Restored,
    "report": Report,
    "doctor": Diagnosis,
    "check": CheckedFile,
    "config": dict[str, ShownSetting],
    "advise": AdvisedApp,
    "init": WrittenConfig,
    "trigger": list[TriggerAnswer],
    "version": Version,
    "alerts": list[AppAlerts],
    "jlist": list[Pm2Process],
    "events": EventLine,
    "logs": LogLine,
}
# The schema of what a command prints; of a command that is not here: answers.
SCHEMA_OF: dict[str, str] = {
    **{name: name for name in PRINTED if name not in ("answers", "workers")},
    "pid": "workers",
    "id": "workers",
    "prettylist": "jlist",
    "run": "logs",
}
# Commands that print JSON without being asked.
ALWAYS_JSON = ("jlist", "prettylist")
# Commands without --json, and why.
WITHOUT_JSON: dict[str, str] = {
    "attach": "it is a conversation of a person with a program",
    "monit": "it is a view for people: `list --json` has the figures",
    "console": "it is a view for people: `list --json` has the figures",
    "top": "it is a view for people, and of a moment: `list --json` has the figures",
    "metrics": "it prints OpenMetrics text, for monitoring: `list --json` has the figures",
    "convert": "it prints a file",
    "export": "it prints files of other programs",
    "completion": "it prints a script for a shell",
    "link-pm2": "it makes one link: its exit code says whether it is there",
    "startup": "it prints the files that it writes, and what root must type: its exit code says whether they are there",
    "unstartup": "it prints the files that it removes: its exit code says whether they are gone",
}


def schema_of(command: str) -> str:
    """Return the name of the schema of what a command of ours prints."""
    return SCHEMA_OF.get(command, "answers")


def schema_text(name: str) -> str:
    """Return the schema of what `fastlb NAME --json` prints, as its file has it."""
    schema = {"$schema": DIALECT, "title": f"fastlb: {name}, as JSON", **msgspec.json.schema(PRINTED[name])}
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def main(directory: str) -> None:
    """Write all schemas into `directory`."""
    Path(directory).mkdir(exist_ok=True)
    for name in PRINTED:
        (Path(directory) / f"{name}.schema.json").write_text(schema_text(name))


if __name__ == "__main__":
    main(sys.argv[1])
