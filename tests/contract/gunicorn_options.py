"""Owns the list of gunicorn's settings as recorded in gunicorn_options.json: names, flags, version. Reads only.

Record it anew, with the gunicorn of the extra `bench`:

    python -m tests.contract.gunicorn_options > tests/contract/gunicorn_options.json
"""

import json
import sys
from pathlib import Path

import msgspec

RECORD = Path(__file__).with_suffix(".json")


class Recorded(msgspec.Struct, frozen=True):
    """A release of gunicorn: `settings` are the names of all settings with their flags."""

    version: str
    settings: dict[str, list[str]]

    def option_of(self, name: str) -> str:
        """Return how a page calls a setting: by its long flag, by its name if it has none."""
        return next((flag for flag in self.settings[name] if flag.startswith("--")), name)


def recorded() -> Recorded:
    """Return what the file says."""
    return msgspec.json.decode(RECORD.read_bytes(), type=Recorded)


def installed() -> Recorded:
    """Return what the installed gunicorn says.

    Raises:
        ImportError: there is none.
    """
    import gunicorn
    from gunicorn import config

    names = {setting.name: list(setting.cli or ()) for setting in config.KNOWN_SETTINGS}
    return Recorded(gunicorn.__version__, dict(sorted(names.items())))


if __name__ == "__main__":
    json.dump(msgspec.to_builtins(installed()), sys.stdout, indent=1)
    sys.stdout.write("\n")
