"""Owns how the units of apps are shown, which `fastlb startup` would write. Pure; the user's shell."""

from collections.abc import Sequence

from ..startup.boot_app import Owner, boot_app
from ..startup.systemd_units import units_of
from .exported_app import ExportedApp, comments

DIRECTORY = "/etc/systemd/system"
REMARK = (
    "A unit knows the app by its name, and every other setting is looked up when it starts: the app must be known"
    " there (`fastlb start`, or `fastlb restore` of a backup)."
)


def systemd(apps: Sequence[ExportedApp], owner: Owner) -> str:
    """Return the units of apps, each behind a comment that names its file. `owner`: whose apps they are.

    Raises:
        UsageError: a setting cannot stand in a unit.
    """
    units = units_of(owner, [boot_app(app.config) for app in apps], of_user=False)
    return comments([REMARK]) + "\n".join(f"# {DIRECTORY}/{name}\n{text}" for name, text in units.items())
