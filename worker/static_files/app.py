"""Owns which answer a request to a site of static files gets, as an app of WSGI's.

Runs in workers, in the app's threads. Large files are sent by the kernel (wsgi.file_wrapper), so one thread serves many
slow clients. Every file is looked at when it is asked for: one that is exchanged is sent anew, and nothing of the site
is kept in memory.
"""

import os
import posixpath
import sys
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from .answers import (
    NOT_FOUND_PAGE,
    StartResponse,
    answer_shortly,
    send_file,
    send_page,
    send_to_directory,
)
from .basic_auth import BasicAuth, read_auth
from .files import OpenFile, SiteFiles, path_in_site
from .site import Site, read_site


def create_app() -> "StaticApp":
    """Return the app that sys.argv and the environment ask for.

    Raises:
        SiteError: it cannot be served.
    """
    site = read_site(sys.argv[1:], os.environ)
    return StaticApp(site, read_auth(site))


class StaticApp:
    """Serves the files of `site` to whom `auth` admits; None: to everybody."""

    def __init__(self, site: Site, auth: BasicAuth | None) -> None:
        self._site = site
        self._auth = auth
        self._files = SiteFiles(site.directory, has_dotfiles=site.has_dotfiles)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if self._auth is not None and not self._auth.admits(environ.get("HTTP_AUTHORIZATION", "")):
            challenge = ("WWW-Authenticate", 'Basic realm="site", charset="UTF-8"')
            return answer_shortly(start_response, HTTPStatus.UNAUTHORIZED, [challenge])
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return answer_shortly(start_response, HTTPStatus.METHOD_NOT_ALLOWED, [("Allow", "GET, HEAD")])
        path = environ.get("PATH_INFO", "")
        name = path_in_site(path, has_dotfiles=self._site.has_dotfiles)
        found = None if name is None else self._files.open(name)
        if found is not None and found.is_directory:
            found.close()
            page = self._file(posixpath.join(found.name, self._site.homepage))
            if page and not path.endswith("/"):
                return send_to_directory(page, environ, start_response)
            found = page
        elif found is not None and path.endswith("/"):
            found.close()  # links in it would lead elsewhere
            found = None
        if found:
            return send_file(self._files, found, environ, start_response)
        return self._answer_missing(environ, start_response)

    def _file(self, name: str) -> OpenFile | None:
        found = self._files.open(name)
        if found is not None and found.is_directory:
            found.close()
            return None
        return found

    def _answer_missing(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer where the site has no file."""
        if self._site.is_spa and _is_of_a_page(environ) and (homepage := self._file(self._site.homepage)):
            return send_file(self._files, homepage, environ, start_response)
        if page := self._file(NOT_FOUND_PAGE):
            return send_page(page, HTTPStatus.NOT_FOUND, environ, start_response)
        return answer_shortly(start_response, HTTPStatus.NOT_FOUND, [])


def _is_of_a_page(environ: dict[str, Any]) -> bool:
    """Whether a path is of a view of the site, not of a file that is missing: a script is never answered with HTML."""
    has_suffix = "." in posixpath.basename(environ.get("PATH_INFO", ""))
    return not has_suffix or "text/html" in environ.get("HTTP_ACCEPT", "")
