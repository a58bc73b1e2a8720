"""Owns what is told of an error that node threw in a configuration file: its place and its words.

Pure; the user's shell. The frames of node's own code, and of ours, tell a user nothing.
"""

import os
import re
from typing import Any

import msgspec

from ..places import Place

# `    at f (/srv/x.config.js:1:22)`, `    at file:///srv/x.config.mjs:3:7`, `    at async ...`
_FRAME = re.compile(r"^ {4}at (?:.*? \()?(?:file://)?(/.*?):(\d+):(\d+)\)?$", re.MULTILINE)
_FRAMES = re.compile(r"^ {4}at ", re.MULTILINE)
# Of a syntax error: the place, the line of code, and a mark below the column.
_CODE = re.compile(r"\A(?:file://)?(/[^\n]*):(\d+)\n([^\n]*)\n( *)\^+\n\n?")
_REQUIRED_BY = "\nRequire stack:\n"
_KNOWN_BY = re.compile(r"^(\w*) \[[A-Z_]+\]: ")


class Thrown(msgspec.Struct, frozen=True):
    """An error of a configuration file.

    Attributes:
        place: of the code of the user's that threw; without a line if node does not say it.
        text: kind and message.
        code: the line of code with a mark below the column; empty: node shows none.
    """

    place: Place
    text: str
    code: str = ""


def understood_error(stack: str, path: str, file: str) -> Thrown:
    """Return what is to be told of an error.

    Args:
        stack: all that node says of it.
        path: absolute path of the configuration file.
        file: its name in messages.
    """
    code = _CODE.match(stack)
    place = _place_of_code(code) if code else _place_of_frame(stack)
    text = stack[code.end() :] if code else stack
    frames = _FRAMES.search(text)
    words = (text[: frames.start()] if frames else text).partition(_REQUIRED_BY)[0].strip()
    words = _KNOWN_BY.sub(r"\1: ", words)
    shown = f"{code[3]}\n{code[4]}^" if code else ""
    return Thrown(_named(place, path, file), words, shown)


def _place_of_code(code: "re.Match[str]") -> Place:
    return Place(code[1], int(code[2]), len(code[4]) + 1)


def _place_of_frame(stack: str) -> Place:
    """Return the first place that is neither node's nor ours."""
    own = os.path.dirname(__file__)
    for frame in _FRAME.finditer(stack):
        if os.path.dirname(frame[1]) != own:
            return Place(frame[1], int(frame[2]), int(frame[3]))
    return Place("")


def _named(place: Place, path: str, file: str) -> Place:
    """Return the place with the name that the user gave; another file keeps its path."""
    if not place.file or os.path.realpath(place.file) == os.path.realpath(path):
        changes: dict[str, Any] = {"file": file}
        return msgspec.structs.replace(place, **changes)
    return place
