"""Owns the words of `watch` and `ignore_watch`, and how a pattern of files is written. Pure; supervisor and shell.

A pattern without a slash is a name, wherever in the tree: `*.log`, `node_modules`. One with a slash is a path from the
top of what is watched, `client/img` or `docs/**/*.md`, or from the root of the machine: `/srv/shop/tmp`. A directory
that matches is not looked into.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

ON = ("true", "on", "yes", "1")
OFF = ("false", "off", "no", "0")
# In `ignore_watch` it stands for the list below, to which others may be added.
DEFAULT = "default"
HIDDEN = ".*"
# As a directory it is known by its file pyvenv.cfg as well, whatever its name is.
VIRTUAL_ENVIRONMENT = "venv"
DEFAULT_IGNORED = (
    HIDDEN,
    "node_modules",
    "bower_components",
    "__pycache__",
    "*.py[co]",
    VIRTUAL_ENVIRONMENT,
    "site-packages",
    "logs",
    *("*.log", "*.log.*", "*.pid", "*.sock"),
    *("*.sqlite*", "*.db", "*.db-*"),
    *("*~", "#*#", "*.sw[opx]", "4913", "*.tmp"),
)
_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\[\]/]+\]|.", re.DOTALL)
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_WILD = re.compile(r"[*?\[]")


def watched_paths(words: Sequence[str]) -> tuple[str, ...]:
    """Return the paths that the value of `watch` names, empty if nothing is watched."""
    lowered = [word.lower() for word in words]
    if not words or any(word in OFF for word in lowered):
        return ()
    return tuple("." if lower in ON else word for word, lower in zip(words, lowered, strict=True))


def ignored_patterns(words: Sequence[str]) -> tuple[str, ...]:
    """Return the patterns that the value of `ignore_watch` means."""
    return tuple(dict.fromkeys(each for word in words for each in (DEFAULT_IGNORED if word == DEFAULT else (word,))))


def split_wild(path: str) -> tuple[str, str]:
    """Return the directory that a path with stars begins with, and the pattern below it, empty without stars."""
    parts = path.split("/")
    plain = next((at for at, part in enumerate(parts) if _WILD.search(part)), len(parts))
    return "/".join(parts[:plain]) or ("/" if path.startswith("/") else "."), "/".join(parts[plain:])


@lru_cache(maxsize=256)
def pattern_of(text: str) -> re.Pattern[str]:
    r"""Return what matches the paths that a pattern means, from the top of what is watched.

    As guides for PM2 have them, `\.git` is `.git`, and `./tmp/` is `tmp`.
    """
    plain = text.replace("\\.", ".").removeprefix("./").rstrip("/")
    expression = "".join(map(_part, _PARTS.findall(plain)))
    anywhere = "" if "/" in plain else "(?:.*/)?"
    return re.compile(f"{anywhere}{expression}(?:/.*)?", re.DOTALL)


def check_pattern(text: str) -> None:
    """Raise unless a pattern can match anything.

    Raises:
        ValueError: it cannot.
    """
    try:
        is_pattern = bool(text.strip("./")) and pattern_of(text) is not None
    except re.error:
        is_pattern = False
    if not is_pattern:
        raise ValueError(f"{text!r} is no pattern of files such as *.log, node_modules or client/img")


def check_patterns(texts: Sequence[str]) -> None:
    """Raise unless each of them can match anything.

    Raises:
        ValueError: as `check_pattern`.
    """
    for text in texts:
        check_pattern(text)


def _part(text: str) -> str:
    if text.startswith("[") and len(text) > 1:
        return text.replace("[!", "[^", 1).replace("\\", "\\\\")
    return _MEANING.get(text) or re.escape(text)
