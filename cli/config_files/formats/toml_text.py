"""Owns reading TOML, and finding its keys: tomllib does not say where they stand. Pure; the user's shell."""

import re
import tomllib
from typing import Any

from ..places import FoundKey, KeyPath, KeyPlaces, Place
from .errors import NotReadable

_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE = re.compile(rf"^\s*(\[\[?)\s*({_DOTTED})\s*\]")
_KEY = re.compile(rf"^(\s*)({_DOTTED})\s*=")
_ERROR_PLACE = re.compile(r"(.*) \(at line (\d+), column (\d+)\)$")


def read_toml(text: str, file: str) -> tuple[Any, KeyPlaces]:
    """Return the data in `text`, and where its keys stand; `file`: for messages.

    Raises:
        NotReadable: it is no TOML.
    """
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise NotReadable(Place(file), "it is nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        found = _ERROR_PLACE.match(str(error))
        place = Place(file, int(found[2]), int(found[3])) if found else Place(file)
        raise NotReadable(place, f"this is no TOML: {found[1] if found else error}") from None
    return data, KeyPlaces(file, _keys(text), exact=False)


def _keys(text: str) -> list[FoundKey]:
    """Return tables and keys at the beginnings of lines; inline tables are one key."""
    keys = []
    table: KeyPath = ()
    counts: dict[KeyPath, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if header := _TABLE.match(line):
            table = _path(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            keys.append(FoundKey(table, number, header.start(1) + 1))
        elif key := _KEY.match(line):
            keys.append(FoundKey((*table, *_path(key[2])), number, len(key[1]) + 1))
    return keys


def _path(dotted: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))
