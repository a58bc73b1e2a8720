"""Owns where an app's output is written: the files that its settings name, or those of FASTLB_HOME.

Supervisor, which writes them, and shell, which reads them. Only names: nothing is opened or created here.
"""

import glob
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..settings.app_config import AppConfig
from ..settings.path_templates import expand, fixed_parts
from .paths import AppPaths

# What is written to a file: one of the two streams, or both in the order of reading, or the access log.
Output = Literal["out", "err", "all", "access"]
NOWHERE = ("NULL", "/dev/null")
ROTATED_MARK = "__"
_ROTATED = re.compile(ROTATED_MARK + r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d")


@dataclass(frozen=True)
class LogTemplate:
    """The path of a log file, in which variables stand: ${name} ${instance} ${pid} ${date}.

    Attributes:
        path: absolute.
        name: of the app.
    """

    path: str
    name: str

    @property
    def is_per_worker(self) -> bool:
        """Whether each worker has a file of its own."""
        return "${instance}" in self.path or "${pid}" in self.path

    @property
    def is_per_process(self) -> bool:
        """Whether each process has a file of its own, and a worker that is restarted another one."""
        return "${pid}" in self.path

    def file(self, worker: int, pid: int, now: float) -> Path:
        """Return the file of one worker; `now`: seconds since the epoch, for ${date} in local time."""
        values = {
            "name": self.name,
            "instance": str(worker),
            "pid": str(pid),
            "date": date_text(now),
        }
        return Path(expand(self.path, values))

    def existing(self) -> list[Path]:
        """Return the files that are there, whoever wrote them, oldest first; not those that were rotated away."""
        pattern = "*".join(glob.escape(part) for part in fixed_parts(self.path, {"name": self.name}))
        found = [Path(path) for path in glob.glob(pattern)]
        return sorted((path for path in found if not _ROTATED.search(path.name)), key=_modified_at)


def date_text(moment: float) -> str:
    """Return what stands for ${date}, in local time; `moment`: seconds since the epoch."""
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def log_templates(config: AppConfig, paths: AppPaths, *, defaults: bool = True) -> dict[Output, LogTemplate]:
    """Return where what is written; what is written nowhere is left out.

    `defaults`: whether the two streams have files in FASTLB_HOME where the settings name none.
    """
    if config.disable_logs or config.log_target != "file":
        return {}
    given: dict[Output, str] = {
        "out": config.out_file,
        "err": config.error_file,
        "all": config.log_file,
        "access": config.access_file,
    }
    ours: dict[Output, Path] = {"out": paths.out_log, "err": paths.error_log} if defaults else {}
    templates: dict[Output, LogTemplate] = {}
    for output, text in given.items():
        if text in NOWHERE or (not text and output not in ours):
            continue
        template = _absolute(text, config.cwd) if text else str(ours[output])
        if not config.merge_logs:
            template = _with_instance(template)
        templates[output] = LogTemplate(template, config.name)
    return templates


def app_files(config: AppConfig, paths: AppPaths) -> dict[str, str]:
    """Return the files of an app that are of interest to people and are there now, by what they are."""
    names: dict[Output, str] = {"out": "out_log", "err": "error_log", "all": "combined_log", "access": "access_log"}
    shown = {
        names[output]: " ".join(map(str, template.existing()))
        for output, template in log_templates(config, paths).items()
    }
    ours = {"supervisor_log": paths.supervisor_log, "events": paths.events}
    ours |= {"control_socket": paths.control_socket, "config": paths.config}
    shown |= {name: str(path) for name, path in ours.items() if path.exists()}
    return {name: files for name, files in shown.items() if files}


def rotated_files(path: Path) -> list[Path]:
    """Return what was rotated away from a log file and is still there, compressed or not, oldest first.

    Of a file whose supervisor was killed when it had been compressed and not yet removed only the compressed one.
    """
    pattern = f"{glob.escape(str(path.with_suffix('')))}{ROTATED_MARK}*{glob.escape(path.suffix)}"
    found = {name: Path(name) for name in glob.glob(pattern)}
    found |= {name.removesuffix(".gz"): Path(name) for name in glob.glob(pattern + ".gz")}
    return [found[name] for name in sorted(found)]


def _absolute(text: str, cwd: str) -> str:
    return os.path.abspath(os.path.join(cwd, os.path.expanduser(text)))


def _with_instance(template: str) -> str:
    """PM2's place for the number of a worker: "app-out.log" becomes "app-out-0.log"."""
    if "${instance}" in template:
        return template
    stem, suffix = os.path.splitext(template)
    return f"{stem}-${{instance}}{suffix}"


def _modified_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
