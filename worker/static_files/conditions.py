"""Owns what a request says of the version and the part of a file that it wants: RFC 9110, sections 13 and 14.

Pure; workers. What it does not understand it takes as not said, as the RFC has it.
"""

import math
import re
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from enum import Enum, auto

import msgspec

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?("[^"]*")')


class Wanted(Enum):
    """What a request is answered with, as far as the version counts."""

    FILE = auto()  # or the part that it asks for
    NOTHING_NEW = auto()  # 304: it has this version
    ANOTHER_VERSION = auto()  # 412: it wants one that is not there


class Version(msgspec.Struct, frozen=True):
    """A version of a file, as its answers name it.

    Attributes:
        etag: with its quotes; of the bytes that are sent, so it is another one for each encoding.
        modified: seconds since 1970, whole.
    """

    etag: str
    modified: int

    @property
    def last_modified(self) -> str:
        """When it was changed, as a header says it."""
        return formatdate(self.modified, usegmt=True)


def wanted(environ: Mapping[str, str], version: Version) -> Wanted:
    """Return what a GET or HEAD of WSGI's `environ` is answered with, where `version` is there (RFC 9110, 13.2.2)."""
    if match := environ.get("HTTP_IF_MATCH"):
        if not _has_tag(match, version, is_strong=True):
            return Wanted.ANOTHER_VERSION
    elif version.modified > _seconds(environ.get("HTTP_IF_UNMODIFIED_SINCE"), math.inf):
        return Wanted.ANOTHER_VERSION
    if none_match := environ.get("HTTP_IF_NONE_MATCH"):
        return Wanted.NOTHING_NEW if _has_tag(none_match, version) else Wanted.FILE
    is_known = version.modified <= _seconds(environ.get("HTTP_IF_MODIFIED_SINCE"), -math.inf)
    return Wanted.NOTHING_NEW if is_known else Wanted.FILE


def _has_tag(header: str, version: Version, *, is_strong: bool = False) -> bool:
    if header.strip() == "*":
        return True
    return any(
        found.group(1) == version.etag and not (is_strong and found.group().startswith("W/"))
        for found in _TAG.finditer(header)
    )


def _seconds(date: str | None, otherwise: float) -> float:
    """Return a date of HTTP's in seconds since 1970; `otherwise`: if it is none."""
    if not date:
        return otherwise
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return otherwise


def wanted_part(environ: Mapping[str, str], version: Version, size: int) -> tuple[int, int] | None:
    """Return where the part of a file of `size` bytes begins and ends that a GET wants; None: it wants all.

    The end is behind the last byte. Begin and end are equal if there is no such part (416). Several parts at a time
    are not given: then it is the whole file.
    """
    found = _RANGE.fullmatch(environ.get("HTTP_RANGE", ""))
    if found is None or not (found[1] or found[2]) or not _is_of(environ.get("HTTP_IF_RANGE"), version):
        return None
    if not found[1]:  # the last so many bytes
        return max(size - int(found[2]), 0), size
    first, last = int(found[1]), int(found[2] or size)
    if last < first:
        return None if found[2] else (size, size)
    return min(first, size), min(last + 1, size)


def _is_of(if_range: str | None, version: Version) -> bool:
    return not if_range or if_range.strip() in (version.etag, version.last_modified)


def accepted_encodings(header: str) -> frozenset[str]:
    """Return which of br and gzip a header `Accept-Encoding` takes."""
    taken: dict[str, bool] = {}
    for part in header[:1000].split(","):
        name, _, weight = part.partition(";")
        taken[name.strip().lower()] = not re.fullmatch(r"\s*q\s*=\s*0(\.0{0,3})?\s*", weight, re.IGNORECASE)
    others = taken.get("*", False)
    return frozenset(name for name in ("br", "gzip") if taken.get(name, others))
