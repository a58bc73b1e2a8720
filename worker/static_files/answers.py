"""Owns how an answer with a file looks: version, part, encoding, and how its bytes go out. Runs in workers."""

import os
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from .conditions import Version, Wanted, accepted_encodings, wanted, wanted_part
from .files import OpenFile, SiteFiles
from .media_types import media_type

Headers = list[tuple[str, str]]
StartResponse = Callable[[str, Headers], object]
NOT_FOUND_PAGE = "404.html"
# Up to here a part of a file is read, not sent by the kernel.
SMALL_PART_BYTES = 1 << 20
# A copy may be kept, and is asked for before each use; an answer without a body costs little.
_CACHE = ("Cache-Control", "no-cache")


def status_line(status: HTTPStatus) -> str:
    """Return a status as WSGI's start_response wants it."""
    return f"{status.value} {status.phrase}"


def answer_shortly(start_response: StartResponse, status: HTTPStatus, headers: Headers) -> Iterable[bytes]:
    """Answer with the name of the status alone."""
    body = f"{status.phrase}\n".encode()
    about: Headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(status_line(status), [*about, *headers])
    return [body]


def send_to_directory(file: OpenFile, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer with the path that ends with a slash, from which links of a page lead to its neighbours.

    `file`, the page, is closed. The path begins with one slash: with two it would name a host.
    """
    file.close()
    prefix = quote(environ.get("SCRIPT_NAME", ""), encoding="latin-1")
    path = quote(environ["PATH_INFO"].strip("/"), encoding="latin-1")
    query = f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""
    location = ("Location", f"{prefix}/{path}/{query}")
    return answer_shortly(start_response, HTTPStatus.MOVED_PERMANENTLY, [location])


def send_page(
    page: OpenFile, status: HTTPStatus, environ: dict[str, Any], start_response: StartResponse
) -> Iterable[bytes]:
    """Answer with a whole file, whatever version or part was asked for; `page` is closed."""
    size = page.status.st_size
    start_response(
        status_line(status), [("Content-Type", media_type(page.name)), ("Content-Length", str(size)), _CACHE]
    )
    return _body(page, 0, size, environ)


def send_file(
    files: SiteFiles, file: OpenFile, environ: dict[str, Any], start_response: StartResponse
) -> Iterable[bytes]:
    """Answer with a file in the best encoding, the part or version that is asked for; `file` is closed."""
    of_name = file.name
    encoding, file, is_choice = files.encoded(file, accepted_encodings(environ.get("HTTP_ACCEPT_ENCODING", "")))
    size = file.status.st_size
    version = _version(file, encoding)
    headers: Headers = [("ETag", version.etag), ("Last-Modified", version.last_modified), _CACHE]
    headers += [("Vary", "Accept-Encoding")] if is_choice else []
    answer = wanted(environ, version)
    if answer is Wanted.NOTHING_NEW:
        file.close()
        start_response(status_line(HTTPStatus.NOT_MODIFIED), headers)
        return []
    if answer is Wanted.ANOTHER_VERSION:
        file.close()
        return answer_shortly(start_response, HTTPStatus.PRECONDITION_FAILED, [])
    part = wanted_part(environ, version, size) if environ["REQUEST_METHOD"] == "GET" else None
    if part is not None and part[0] == part[1]:
        file.close()
        whole = ("Content-Range", f"bytes */{size}")
        return answer_shortly(start_response, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, [whole])
    begin, end = part or (0, size)
    headers += [("Content-Type", media_type(of_name)), ("Content-Length", str(end - begin)), ("Accept-Ranges", "bytes")]
    headers += [("Content-Encoding", encoding)] if encoding else []
    headers += [("Content-Range", f"bytes {begin}-{end - 1}/{size}")] if part else []
    start_response(status_line(HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK), headers)
    return _body(file, begin, end, environ)


def _version(file: OpenFile, encoding: str) -> Version:
    status = file.status
    mark = f"-{encoding}" if encoding else ""
    etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}{mark}"'
    return Version(etag, int(status.st_mtime))


def _body(file: OpenFile, begin: int, end: int, environ: dict[str, Any]) -> Iterable[bytes]:
    """Return bytes begin..end of `file`, which is closed in the end."""
    if environ["REQUEST_METHOD"] == "HEAD" or begin == end:
        file.close()
        return []
    if end < file.status.st_size and end - begin <= SMALL_PART_BYTES:
        data = os.pread(file.fd, end - begin, begin)
        file.close()
        return [data]
    stream = os.fdopen(file.fd, "rb")
    file.fd = -1  # it is the stream's now
    stream.seek(begin)
    sent: Iterable[bytes] = environ["wsgi.file_wrapper"](stream)
    return sent
