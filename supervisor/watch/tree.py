"""Owns the directories that are watched, as they come and go, and what has changed in them.

Runs in the supervisor process. A directory that is ignored is not watched: what an app installs or compiles there wakes
nobody up. A symbolic link on the way to what is watched is watched as well: when it leads elsewhere, the release there
is looked at instead.
"""

import errno
import os
from collections.abc import Iterator

from ..safe_text import escape_line
from .inotify import (
    CLOSE_WRITE,
    CREATE,
    DELETE,
    DELETE_SELF,
    IGNORED,
    IS_DIRECTORY,
    MOVE_SELF,
    MOVED_FROM,
    MOVED_TO,
    OVERFLOW,
    Inotify,
    InotifyEvent,
    limit_advice,
)
from .rules import WatchRules

# What is written and still open may be half of it: a file has changed when its writer closes it.
FILE_CHANGES = CLOSE_WRITE | MOVED_TO | MOVED_FROM | DELETE
IN_TREE = FILE_CHANGES | CREATE | DELETE_SELF | MOVE_SELF
ON_THE_WAY = CREATE | MOVED_TO
MOST_DIRECTORIES = 10_000
MOST_LINKS = 40  # as the kernel
# Of one look; what is beyond only counts.
MOST_PATHS = 1000
NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP)


class WatchedTree:
    """Watches what the rules name.

    Args:
        inotify: borrowed.
        rules: which files count.

    Attributes:
        problem: why not all is watched; "" if it is.
    """

    def __init__(self, inotify: Inotify, rules: WatchRules) -> None:
        self.problem = ""
        self._inotify = inotify
        self._rules = rules
        # By the number of a watch: the root and the directory, as a path that goes through the links.
        self._directories: dict[int, tuple[str, str]] = {}
        self._watches: dict[str, int] = {}
        # By the number of a watch: the root to which a name leads.
        self._on_the_way: dict[int, dict[str, str]] = {}
        self._watch_roots()

    @property
    def directories(self) -> int:
        """How many directories are watched for changes of files."""
        return len(self._directories)

    def read(self) -> set[str]:
        """Return the paths that have changed since the last call, of many some; a root if all below it may have."""
        changed: set[str] = set()
        for event in self._inotify.read():
            found = self._take(event)
            changed |= found if len(changed) < MOST_PATHS else set()
        return changed

    def close(self) -> None:
        """Watch nothing more."""
        for watch in {*self._directories, *self._on_the_way}:
            self._inotify.remove(watch)
        self._directories, self._watches, self._on_the_way = {}, {}, {}

    def _take(self, event: InotifyEvent) -> set[str]:
        if event.mask & OVERFLOW:
            return self._look_again()
        if root := self._on_the_way.get(event.watch, {}).get(event.name):
            return self._take_root(root, event.mask)
        known = self._directories.get(event.watch)
        if known is None:
            return set()
        root, directory = known
        if event.mask & IGNORED:
            self._forget(event.watch)
            return set()
        if event.mask & (DELETE_SELF | MOVE_SELF):
            return self._look_again() if directory == root else set()
        return self._take_member(root, os.path.join(directory, event.name), event.mask)

    def _take_root(self, root: str, mask: int) -> set[str]:
        """Return what has changed with a name that leads to a root."""
        if os.path.isdir(root) or (mask & (CREATE | MOVED_TO) and os.path.islink(root)):
            return self._look_again()
        return {root} if mask & FILE_CHANGES or (mask & CREATE and _is_linked(root)) else set()

    def _take_member(self, root: str, path: str, mask: int) -> set[str]:
        """Return what has changed with an entry of a watched directory."""
        is_new = mask & (CREATE | MOVED_TO)
        was_directory = path in self._watches
        if was_directory:
            self._forget_below(path)
        if mask & IS_DIRECTORY or was_directory or (is_new and os.path.islink(path) and os.path.isdir(path)):
            if is_new:
                return set(self._enter(root, path))
            is_gone_with_its_files = mask & MOVED_FROM and self._rules.is_entered(root, path)
            return {path} if is_gone_with_its_files else set()
        # A file that is made is closed later; a link to one is there at once.
        is_changed = mask & FILE_CHANGES or (mask & CREATE and _is_linked(path))
        return {path} if is_changed and self._rules.counts(root, path) else set()

    def _watch_roots(self) -> None:
        for root, _ in self._rules.roots:
            if not os.path.exists(root):
                self.problem = f"there is no {root} yet"
            for _ in self._enter(root, root):
                pass
            for directory, name in _links_on_the_way(root):
                self._add_on_the_way(root, directory, name)
            if not os.path.isdir(root):  # a file, which editors replace; or it is still to come
                self._add_on_the_way(root, os.path.dirname(root), os.path.basename(root))

    def _look_again(self) -> set[str]:
        """Watch what is there now; return the roots, below which everything may have changed."""
        self.close()
        self.problem = ""
        self._watch_roots()
        return {root for root, _ in self._rules.roots}

    def _enter(self, root: str, top: str) -> Iterator[str]:
        """Watch a directory and those below it; yield the files that count in them."""
        waiting = [top]
        while waiting:
            directory = waiting.pop()
            if not self._rules.is_entered(root, directory) or not self._add(root, directory):
                continue
            try:
                entries = list(os.scandir(directory))
            except OSError:
                continue  # it has gone again
            for entry in entries:
                path = os.path.join(directory, entry.name)
                if _leads_to_directory(entry):
                    waiting.append(path)
                elif self._rules.counts(root, path):
                    yield path

    def _add(self, root: str, directory: str) -> bool:
        """Watch a directory; return whether it was not watched before, and is now."""
        if len(self._directories) >= MOST_DIRECTORIES:
            self.problem = f"{root} has more than {MOST_DIRECTORIES} directories, of which the others are not watched"
            return False
        watch = self._watch(directory, IN_TREE)
        if watch is None or watch in self._directories:
            return False
        self._directories[watch] = (root, directory)
        self._watches[directory] = watch
        return True

    def _add_on_the_way(self, root: str, directory: str, name: str) -> None:
        watch = self._watch(directory, ON_THE_WAY if os.path.isdir(root) else IN_TREE)
        if watch is not None:
            self._on_the_way.setdefault(watch, {})[name] = root

    def _watch(self, directory: str, mask: int) -> int | None:
        try:
            return self._inotify.add(directory, mask)
        except OSError as error:
            if error.errno not in NOT_THERE:
                advice = limit_advice(error)
                self.problem = f"{escape_line(directory)} cannot be watched, {error.strerror}" + (
                    f": {advice}" if advice else ""
                )
            return None

    def _forget_below(self, top: str) -> None:
        for watch, (_, directory) in list(self._directories.items()):
            if directory == top or directory.startswith(top + "/"):
                self._inotify.remove(watch)
                self._forget(watch)

    def _forget(self, watch: int) -> None:
        _, directory = self._directories.pop(watch)
        if self._watches.get(directory) == watch:
            del self._watches[directory]


def _links_on_the_way(root: str) -> Iterator[tuple[str, str]]:
    """Yield directory and name of each symbolic link that a path goes through, also of those that links lead to."""
    waiting, followed = [root], 0
    while waiting:
        path = waiting.pop()
        parts = path.split("/")
        for at in range(2, len(parts) + 1):
            link = "/".join(parts[:at])
            if os.path.islink(link) and followed < MOST_LINKS:
                followed += 1
                yield os.path.split(link)
                try:
                    target = os.path.join(os.path.dirname(link), os.readlink(link))
                except OSError:
                    break  # just being replaced: its directory is watched by now
                waiting.append(os.path.normpath(os.path.join(target, *parts[at:])))
                break


def _leads_to_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_linked(path: str) -> bool:
    """Whether a file came to be by a link, symbolic or not: nobody will close it."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return os.path.islink(path) or status.st_nlink > 1
