"""Owns which files count as changed, and which directories are looked into. The supervisor process.

Pure but for asking whether a directory is a virtual environment.
"""

import os
import re
from dataclasses import dataclass, field

from ..home.log_files import log_templates
from ..home.paths import AppPaths
from ..settings.app_config import AppConfig
from ..settings.path_templates import fixed_parts
from ..settings.watch_words import (
    HIDDEN,
    VIRTUAL_ENVIRONMENT,
    ignored_patterns,
    pattern_of,
    split_wild,
    watched_paths,
)

# In a directory it says that this is a virtual environment.
MARKER = "pyvenv.cfg"


@dataclass(frozen=True)
class WatchRules:
    """The settings about files of one generation.

    Attributes:
        roots: absolute paths of what is watched, symbolic links in them not followed yet; each with the pattern of
            files that are meant, empty: all.
        ignored: patterns, as `ignore_watch` has them.
        included: patterns of the files that count; empty: all.
        own: what matches paths that we write ourselves, which never count.
    """

    roots: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    own: re.Pattern[str] = field(default=re.compile(r"(?!)"))

    @classmethod
    def of(cls, config: AppConfig, paths: AppPaths) -> "WatchRules":
        """Take them from the settings of an app."""
        top = os.path.abspath(config.cwd or ".")
        split = [split_wild(os.path.expanduser(path)) for path in watched_paths(config.watch)]
        roots = dict.fromkeys((os.path.normpath(os.path.join(top, path)), pattern) for path, pattern in split)
        return cls(tuple(roots), ignored_patterns(config.ignore_watch), config.watch_include, _own(config, paths))

    def is_entered(self, root: str, directory: str) -> bool:
        """Whether a directory below a root is looked into."""
        if self.own.fullmatch(directory):
            return False
        if directory == root:
            return True
        if any(_matches(pattern, root, directory) for pattern in self.ignored):
            return False
        return VIRTUAL_ENVIRONMENT not in self.ignored or not os.path.exists(os.path.join(directory, MARKER))

    def counts(self, root: str, path: str) -> bool:
        """Whether a change of a file below a root, or of the root itself, is a change of the app."""
        if self.own.fullmatch(path):
            return False
        if path == root:
            return True
        wanted = [pattern for at, pattern in self.roots if at == root and pattern]
        if wanted and not any(_matches(pattern, root, path) for pattern in wanted):
            return False
        meant = [pattern for pattern in self.included if _matches(pattern, root, path)]
        if self.included and not meant:
            return False
        is_named = any(os.path.basename(pattern).startswith(".") for pattern in meant)
        return not any(_matches(each, root, path) for each in self.ignored if not (is_named and each == HIDDEN))


def _matches(pattern: str, root: str, path: str) -> bool:
    subject = path if pattern.startswith("/") else path.removeprefix(root).lstrip("/")
    return pattern_of(pattern).fullmatch(subject) is not None


def _own(config: AppConfig, paths: AppPaths) -> re.Pattern[str]:
    """Our home, and the log files wherever they are, with those that were rotated away."""
    expressions = [re.escape(str(paths.home)) + "(?:/.*)?"]
    for template in log_templates(config, paths).values():
        stem, suffix = os.path.splitext(template.path)
        parts = map(re.escape, fixed_parts(stem, {"name": config.name}))
        expressions.append(f"{'[^/]*'.join(parts)}(?:__[^/]*)?{re.escape(suffix)}(?:\\.gz.*)?")
    return re.compile("|".join(expressions), re.DOTALL)
