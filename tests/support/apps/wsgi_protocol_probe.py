"""A WSGI app whose paths do one thing each. Runs in workers under test, copied to their directory as app.py.

`gate(name)` waits until the test opens the FIFO `name`: how a test holds a request in the app.
"""

import json
import os
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

HERE = pathlib.Path(__file__).parent
TEXT = [("Content-Type", "text/plain")]

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], None]]


def app(environ: Environ, start_response: StartResponse) -> Any:
    """Call the function that the first part of the path names."""
    name = environ["PATH_INFO"].removeprefix("/").split("/")[0] or "hello"
    return globals()["do_" + name](environ, start_response)


def note(text: str) -> None:
    """Append a line to the file that the test reads."""
    with (HERE / "notes").open("a") as notes:
        notes.write(text + "\n")


def gate(name: str) -> None:
    """Wait for the test."""
    with (HERE / name).open("rb") as fifo:
        fifo.read()


def do_hello(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", [*TEXT, ("Content-Length", "5")])
    return [b"hello"]


def do_environ(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    simple = {key: value for key, value in environ.items() if isinstance(value, str | bool | int | tuple)}
    return [json.dumps(simple).encode()]


def do_echo(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", [*TEXT, ("X-Length", environ.get("CONTENT_LENGTH", "none"))])
    return [environ["wsgi.input"].read()]


def do_input(environ: Environ, start_response: StartResponse) -> Any:
    source = environ["wsgi.input"]
    parts = [
        source.readline(),
        source.read(3),
        source.readline(2),
        source.readlines(),
        source.read(),
        list(source),
    ]
    start_response("200 OK", TEXT)
    return [repr(parts).encode()]


def do_stream(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield from (b"one,", b"", b"two,", b"three")


def do_lazy(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("202 Accepted", TEXT)
    yield b""
    yield b"late"


def do_parts(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    return [b"one,", b"two"]


class Single:
    """An iterable of one block that can tell so."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"single"])

    def close(self) -> None:
        note("closed")


def do_single(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    return Single()


def do_write(environ: Environ, start_response: StartResponse) -> Any:
    write = start_response("200 OK", TEXT)
    write(b"written,")
    write(b"")
    gate("gate")
    return [b"returned"]


def do_gated(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield b"before"
    gate("gate")
    yield b"after"


def do_wait(environ: Environ, start_response: StartResponse) -> Any:
    note("waiting")
    gate("gate")
    note("done")
    return do_hello(environ, start_response)


def do_status(environ: Environ, start_response: StartResponse) -> Any:
    code = environ["PATH_INFO"].split("/")[2]
    start_response(f"{code} Whatever", [*TEXT, ("Content-Length", "4")])
    return [b"body"]


def do_length(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [*TEXT, ("Content-Length", environ["PATH_INFO"].split("/")[2])])
    yield b"12"
    yield b"345"


def do_whole_length(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", [*TEXT, ("Content-Length", environ["PATH_INFO"].split("/")[2])])
    return [b"12345"]


def do_header(environ: Environ, start_response: StartResponse) -> Any:
    """The query is a JSON list of status and headers."""
    from urllib.parse import unquote

    status, headers = json.loads(unquote(environ["QUERY_STRING"]))
    start_response(status, [tuple(header) for header in headers])
    return [b"x"]


def do_raise(environ: Environ, start_response: StartResponse) -> Any:
    raise ValueError("before the first byte")


def do_exit(environ: Environ, start_response: StartResponse) -> Any:
    raise SystemExit(7)


def do_raise_late(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield b"partial"
    raise ValueError("after the first byte")


def do_raise_in_close(environ: Environ, start_response: StartResponse) -> Any:
    class Closing(Single):
        def close(self) -> None:
            raise ValueError("in close")

    start_response("200 OK", TEXT)
    return Closing()


def do_no_start(environ: Environ, start_response: StartResponse) -> Any:
    return [b"body without a head"]


def do_twice(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    start_response("200 OK", TEXT)
    return [b""]


def do_exc_info(environ: Environ, start_response: StartResponse) -> Any:
    import sys

    start_response("200 OK", TEXT)
    try:
        raise ValueError("replaced")
    except ValueError:
        start_response("503 Replaced", TEXT, sys.exc_info())
    return [b"replaced"]


def do_exc_info_late(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    import sys

    start_response("200 OK", TEXT)
    yield b"partial"
    try:
        raise ValueError("too late to replace")
    except ValueError:
        start_response("503 Replaced", TEXT, sys.exc_info())
    yield b"never"


def do_text(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    return ["text"]


def do_closing(environ: Environ, start_response: StartResponse) -> Any:
    """Endless: ends only when the server stops asking."""

    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x" * 65536

        def close(self) -> None:
            note("closed")

    start_response("200 OK", TEXT)
    return Endless()


def do_big(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """As many mebibytes as the path says, numbered, in pieces."""
    start_response("200 OK", TEXT)
    for number in range(int(environ["PATH_INFO"].split("/")[2])):
        yield number.to_bytes(4, "big") * 262144
    note("produced")


def do_big_whole(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    return [b"".join(number.to_bytes(4, "big") * 262144 for number in range(8))]


def do_file(environ: Environ, start_response: StartResponse) -> Any:
    """/file/NAME/OFFSET: the file from there on, through the wrapper. The query is a Content-Length."""
    _, _, name, offset = environ["PATH_INFO"].split("/")
    file = (HERE / name).open("rb")
    file.seek(int(offset))
    length = environ["QUERY_STRING"]
    start_response("200 OK", [*TEXT, ("Content-Length", length)] if length else TEXT)
    return environ["wsgi.file_wrapper"](NotingFile(file) if name == "noting" else file, 1000)


def do_gzip_file(environ: Environ, start_response: StartResponse) -> Any:
    import gzip

    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](gzip.open(HERE / "packed.gz"))


class NotingFile:
    """A file-like object that is no file."""

    def __init__(self, file: Any) -> None:
        self.read = file.read
        self._close = file.close

    def close(self) -> None:
        self._close()
        note("closed")


def do_threads(environ: Environ, start_response: StartResponse) -> Any:
    start_response("200 OK", TEXT)
    return [f"{threading.active_count()} {os.getpid()}".encode()]
