"""Owns how documents of YAML are written. Pure; the user's shell."""

from collections.abc import Mapping
from typing import Any

import yaml

WIDTH = 120


class _Dumper(yaml.SafeDumper):
    """As SafeDumper, with items of lists indented, and no anchors: they are hard to read and to change."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def document(content: Mapping[str, Any]) -> str:
    """Return one document, in the order of `content`."""
    return yaml.dump(dict(content), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH)
