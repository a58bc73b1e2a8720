"""Owns which logs an app has, by its settings. Runs in the user's shell; reads only."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from ...supervisor.errors import FastlbError
from ...supervisor.home.log_files import LogTemplate, log_templates
from ...supervisor.home.paths import AppPaths
from ...supervisor.home.stored_config import load_config
from ...supervisor.settings.app_config import AppConfig
from .chains import Ends
from .known_runs import KnownRuns
from .records import Shape, Stream
from .sources import LogSource, Origin


def config_of(paths: AppPaths) -> AppConfig:
    """Return the app's settings; of one that was never kept, or cannot be read any more, those that all have."""
    try:
        return load_config(paths)
    except FastlbError:
        return AppConfig(target="app", name=paths.name)


def log_sources(paths: AppPaths, streams: Collection[Stream], ends: Ends | None = None) -> list[LogSource]:
    """Return the logs that hold what is wanted. `ends`: as Chain takes them."""
    config = config_of(paths)
    files = {
        path: Origin(paths.name, stream, shape_of(config))
        for template, stream in _templates(config, paths, streams).items()
        for path in files_of(template)
    }
    if "access" in streams and (template := log_templates(config, paths).get("access")):
        files |= {path: Origin(paths.name, "access", shape_of(config)) for path in files_of(template)}
    if "event" in streams:
        files[paths.supervisor_log] = Origin(paths.name, "event", "events")
    known = KnownRuns(paths.log_index)
    return [
        LogSource(path, origin, ends, None if origin.stream == "event" else known) for path, origin in files.items()
    ]


def shape_of(config: AppConfig) -> Shape:
    """Return what the settings make of the lines of workers."""
    if config.log_type == "json":
        return "json"
    return "timed" if config.time or config.log_date_format or config.log_worker else "plain"


def files_of(template: LogTemplate) -> list[Path]:
    """Return those that are there, and the present one if it is known: it may have just been rotated away."""
    present = [] if template.is_per_worker or "${date}" in template.path else [template.file(0, 0, 0.0)]
    return list(dict.fromkeys([*template.existing(), *present]))


def _templates(config: AppConfig, paths: AppPaths, streams: Collection[Stream]) -> dict[LogTemplate, Stream]:
    """Return the logs to be read. Where a stream has none of its own, both are in the one that is for both."""
    templates = log_templates(config, paths)
    wanted: list[Literal["out", "err", "all"]] = [output for output in ("out", "err") if output in streams]
    if not any(output in templates for output in wanted):
        wanted = ["all"] if wanted else []
    found: dict[LogTemplate, Stream] = {}
    for output in wanted:
        if template := templates.get(output):
            found[template] = "log" if template in found or output == "all" else output
    both = templates.get("out") if templates.get("out") == templates.get("err") else None
    return {template: "log" if template == both else stream for template, stream in found.items()}
