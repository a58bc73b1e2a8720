"""Owns docs/json/*.json: the schemas of what `--json` prints, made from the types that it is made of.

python -m fastlb.cli.json_schemas docs/json
"""

import sys
from pathlib import Path
from typing import Any

import msgspec

from ..supervisor.control.protocol import AppDetails, AppEntry
from .operations import Answer

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# What a command prints, by the name of its schema; answers: every command that does something to apps.
PRINTED: dict[str, Any] = {"list": list[AppEntry], "show": AppDetails, "env": dict[str, str], "answers": list[Answer]}


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
