"""Owns finding keys in the text of JSON and JavaScript: `key:` inside of braces, outside of strings and comments.

Pure; the user's shell. It never fails: in code that is more than object literals it finds what looks like a key. One
pass over the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..places import FoundKey, KeyPath

_TOKEN = re.compile(
    r"""
      (?P<skip> //[^\n]* | /\*.*?(?:\*/|\Z) | `(?:\\.|[^`\\])*(?:`|\Z) )
    | (?P<string> "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    | (?P<word> -?[\w$][\w$.]* )
    | (?P<mark> [][{}:,?] )
    | (?P<line> \n )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass
class _Container:
    """An object or array that is open: its path, and in an array the index of the present item."""

    path: KeyPath
    is_array: bool
    index: int = 0
    key: str = ""

    @property
    def inner(self) -> KeyPath:
        """The path of what stands next in it; of braces without a key, code for one, that of the outside."""
        if self.is_array:
            return (*self.path, self.index)
        return (*self.path, self.key) if self.key else self.path


class _Scan:
    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[_Container] = []
        self._candidate: tuple[str, int] | None = None  # what is a key if a colon follows
        self._valueless: FoundKey | None = None  # the key behind whose colon nothing has come yet
        self._line, self._line_start = 1, 0

    def keys(self) -> list[FoundKey]:
        return list(self._scan())

    def _scan(self) -> Iterator[FoundKey]:
        for token in _TOKEN.finditer(self._text):
            kind, text = token.lastgroup, token.group()
            if kind == "mark":
                yield from self._mark(text, token.start())
            elif kind in ("string", "word"):
                word = text[1:-1] if kind == "string" else text
                self._candidate = (word, token.start())
                if self._valueless:
                    self._valueless.value, self._valueless = word, None
            newlines = text.count("\n")
            if newlines:
                self._line += newlines
                self._line_start = token.start() + text.rfind("\n") + 1

    def _mark(self, mark: str, start: int) -> Iterator[FoundKey]:
        inside = self._open[-1] if self._open else None
        if mark in "{[":
            if inside and inside.is_array:
                yield FoundKey(inside.inner, *self._at(start))
            self._open.append(_Container(inside.inner if inside else (), mark == "["))
        elif mark in "}]":
            self._open = self._open[:-1]
        elif mark == "," and inside:
            inside.index, inside.key = inside.index + 1, ""
        elif mark == ":" and inside and not inside.is_array and self._candidate:
            inside.key = self._candidate[0]
            self._valueless = FoundKey(inside.inner, *self._at(self._candidate[1]))
            yield self._valueless
        if mark != ":":
            self._valueless = None
        self._candidate = None

    def _at(self, offset: int) -> tuple[int, int]:
        return self._line, offset - self._line_start + 1


def keys_in_braces(text: str) -> list[FoundKey]:
    """Return the keys of all objects, and objects and arrays in arrays, each by its path from the outermost braces."""
    return _Scan(text).keys()
