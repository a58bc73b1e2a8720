"""Owns how a line of the access log is told from all else on a worker's standard output, if it has a file of its own.

Any process: a worker marks, the supervisor sorts. What a process prints of this kind by chance or on purpose is in the
access log then, and harms nobody else.
"""

import re

# What no program writes by chance: the separator of records in front, and our name.
ACCESS_MARK = "\x1efastlb-access "
# By this name of its handler a logger is known to be as we have made it.
ACCESS_HANDLER = "fastlb-access"
_MARKED = re.compile(re.escape(ACCESS_MARK.encode()) + rb"([^\n]*\n)")
_MARK_START = ACCESS_MARK.encode()[:1]
MAX_REST_BYTES = 64 * 1024


class AccessSorter:
    """Takes the access lines out of one standard output, wherever in a line they stand. Pure."""

    def __init__(self) -> None:
        self._rest = b""

    def sort(self, lines: bytes) -> tuple[bytes, bytes]:
        """Return the other lines, and the access lines without their marks; `lines` are whole."""
        if not self._rest and _MARK_START not in lines:
            return lines, b""
        access = b"".join(_MARKED.findall(lines))
        others = self._rest + _MARKED.sub(b"", lines)
        end = others.rfind(b"\n") + 1
        if len(others) - end > MAX_REST_BYTES:
            return others + b"\n", access
        self._rest = others[end:]
        return others[:end], access

    def end(self) -> bytes:
        """Return what an unfinished line had before an access line, as a line of its own."""
        rest, self._rest = self._rest, b""
        return rest + b"\n" if rest else b""
