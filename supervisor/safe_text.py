"""Owns what is not safe to show of a text that somebody else wrote, and how it is shown instead. Pure; any process.

Unsafe is what may break a line or steer a terminal: control characters (C0, DEL, C1), line separators,
bidirectional controls, and lone surrogates (bytes that were not UTF-8). It is replaced by its Python escape, so that
nothing is hidden. Linear in the length of the text: the look-aheads are bounded.
"""

import re

_BEYOND_CONTROLS = "\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSAFE_IN_LINE = re.compile(f"[\x00-\x1f\x7f-\x9f{_BEYOND_CONTROLS}]")
# All of these, but for tab, newline and the sequences that only set colours (SGR).
_UNSAFE_IN_OUTPUT = re.compile(
    f"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f{_BEYOND_CONTROLS}]|\x1b(?!\\[[0-9;:]{{0,32}}m)"
)


def escape_line(text: str) -> str:
    r"""Return `text` as one line of plain text: `\n`, `\x1b`, `\u2028`."""
    return _UNSAFE_IN_LINE.sub(_escape, text)


def escape_output(text: str) -> str:
    r"""Return lines for a terminal: newlines, tabs and colours stay, the rest as in `escape_line`."""
    return _UNSAFE_IN_OUTPUT.sub(_escape, text)


def escape_output_bytes(lines: bytes) -> bytes:
    r"""Return `escape_output` of what a process wrote; bytes that are no UTF-8 become `\xff`."""
    return escape_output(lines.decode(errors="backslashreplace")).encode()


def escape_json(text: str) -> str:
    r"""Return JSON without newlines, made of printable characters only: what is unsafe becomes `\u009b`."""
    return _UNSAFE_IN_LINE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _escape(match: re.Match[str]) -> str:
    return ascii(match.group())[1:-1]
