"""Owns which media type a file has, by the end of its name. Pure; workers.

What the machine's own tables say does not count: a site is the same everywhere.
"""

import mimetypes
import posixpath

_DEFAULT = "application/octet-stream"
_MORE = {
    ".avif": "image/avif",
    ".br": _DEFAULT,
    ".gz": "application/gzip",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".otf": "font/otf",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
_TYPES = {**mimetypes.MimeTypes().types_map[True], **_MORE}


def media_type(name: str) -> str:
    """Return the value of `Content-Type` for a file; texts are said to be UTF-8."""
    found = _TYPES.get(posixpath.splitext(name)[1].lower(), _DEFAULT)
    return f"{found}; charset=utf-8" if found.startswith("text/") else found
