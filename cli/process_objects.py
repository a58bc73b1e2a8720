"""Owns asking all apps for what `jlist` tells of their workers. Runs in the user's shell.

An app that does not answer is told of by what `list` knows of it.
"""

from typing import Any

import msgspec

from ..supervisor.control.protocol import AppDetails
from ..supervisor.errors import FastlbError
from ..supervisor.home.known_apps import list_apps
from ..supervisor.home.paths import default_home
from ..supervisor.output import wall_clock
from .apps import read_details, read_state
from .instances import instances_of
from .output import Output
from .parallel import ask_each
from .pm2.process_list import process_object


def process_objects() -> list[dict[str, Any]]:
    """Return one object for each worker of each app, by their numbers."""
    apps: list[AppDetails] = []
    for answer in ask_each(_details, list_apps(default_home())):
        if isinstance(answer, FastlbError):
            Output.for_errors().warning(answer.message)
        else:
            apps.append(answer)
    details = {app.name: app for app in apps}
    now = wall_clock.now()
    return [
        process_object(instance.pm_id, instance.number, details[instance.app.name], instance.worker, now)
        for instance in instances_of(apps)
    ]


def _details(name: str) -> AppDetails:
    try:
        return read_details(name)
    except FastlbError:
        fields: dict[str, Any] = msgspec.structs.asdict(read_state(name).entry)
        return AppDetails(**fields, settings={}, dispatcher={}, files={})
