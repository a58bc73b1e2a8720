"""Owns the way from the path of a request to an open file of the site, and never to one outside of it.

Runs in workers. A file is opened first and looked at then: what was looked at cannot be exchanged for another. Links
are followed where they lead to something inside; what the kernel says was opened decides, not the name.
"""

import errno
import os
import stat

import msgspec

# What means that the site has no such file.
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.ENXIO)
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
SUFFIXES = {"br": ".br", "gzip": ".gz"}


class OpenFile(msgspec.Struct):
    """A file of the site, open; its owner closes `fd`.

    Attributes:
        fd: -1 when another owns it.
        name: its path in the site.
        status: of fstat.
    """

    fd: int
    name: str
    status: os.stat_result

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.status.st_mode)

    def close(self) -> None:
        """Close it, if it is not closed; may be called twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def path_in_site(path_info: str, *, has_dotfiles: bool) -> str | None:
    """Return the path below the site's directory for WSGI's PATH_INFO, empty: the directory; None: there can be none.

    `..` leads nowhere, not even where it would stay inside: clients resolve it themselves.
    """
    text = os.fsdecode(path_info.encode("latin-1", "replace"))
    parts = [part for part in text.split("/") if part]
    if "\0" in text or any(part in (".", "..") for part in parts):
        return None
    if not has_dotfiles and _is_hidden(parts):
        return None
    return "/".join(parts)


def _is_hidden(parts: list[str]) -> bool:
    return any(part.startswith(".") for part in parts)


class SiteFiles:
    """The files below a directory, which is looked up at each request: it may be a link that is changed."""

    def __init__(self, directory: str, *, has_dotfiles: bool) -> None:
        self._directory = os.path.abspath(directory)
        self._has_dotfiles = has_dotfiles

    def open(self, name: str) -> OpenFile | None:
        """Open the file or directory `name`, a path_in_site; None: the site has none that may be served.

        Raises:
            OSError: the machine fails, not the client.
        """
        root = -1
        try:
            root = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            fd = os.open(name or ".", _OPEN, dir_fd=root)
            return self._looked_at(OpenFile(fd, name, os.fstat(fd)), root)
        except OSError as error:
            if error.errno in _NO_FILE:
                return None
            raise
        finally:
            if root >= 0:
                os.close(root)

    def _looked_at(self, file: OpenFile, root: int) -> OpenFile | None:
        is_kind = stat.S_ISREG(file.status.st_mode) or file.is_directory
        if is_kind and self._is_inside(_place(file.fd), _place(root)):
            return file
        file.close()
        return None

    def _is_inside(self, place: str, root: str) -> bool:
        if place == root:
            return True
        beginning = root.rstrip("/") + "/"
        if not place.startswith(beginning):
            return False
        # By another name a link could show what is hidden.
        return self._has_dotfiles or not _is_hidden(place.removeprefix(beginning).split("/"))

    def encoded(self, file: OpenFile, accepted: frozenset[str]) -> tuple[str, OpenFile, bool]:
        """Return the encoding that `file` is sent in, what is sent, and whether there is a choice at all.

        The file that is not sent is closed.
        """
        variants = {name: self._variant(file, suffix) for name, suffix in SUFFIXES.items()}
        there = {name: found for name, found in variants.items() if found is not None}
        chosen = next((name for name in there if name in accepted), "")
        for name, found in there.items():
            if name != chosen:
                found.close()
        if not chosen:
            return "", file, bool(there)
        file.close()
        return chosen, there[chosen], True

    def _variant(self, file: OpenFile, suffix: str) -> OpenFile | None:
        found = self.open(file.name + suffix)
        if found is not None and found.is_directory:
            found.close()
            return None
        return found


def _place(fd: int) -> str:
    return os.readlink(f"/proc/self/fd/{fd}")
