"""Owns docs/control-protocol.md and its schema: written from the types of the protocol, never by hand.

python -m fastlb.cli.protocol_page docs
"""

import inspect
import re
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from ..supervisor.control.client import RESULTS, LineNote
from ..supervisor.control.framing import ErrorData
from ..supervisor.control.progress import Progress
from ..supervisor.control.protocol import (
    ERROR_FAILED,
    ERROR_INVALID_PARAMS,
    ERROR_INVALID_REQUEST,
    ERROR_PARSE,
    ERROR_UNKNOWN_METHOD,
    FROZEN_METHODS,
    MAX_MESSAGE_BYTES,
    METHODS,
    PROTOCOL_VERSION,
    Done,
    WorkerAnswer,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FILE = "control-protocol.schema.json"


class Following(msgspec.Struct):
    """The first notification of `logs`. `ends`: device, inode and size in bytes of each log file at that moment."""

    ends: list[tuple[int, int, int]]


# Notifications that come before the reply of a method, and what they hold.
PROGRESS: dict[str, type[msgspec.Struct]] = {"progress": Progress}
NOTIFICATIONS: dict[str, dict[str, type[msgspec.Struct]]] = {
    **dict.fromkeys(("update", "restart", "reload", "canary", "scale"), PROGRESS),
    "trigger": {"answer": WorkerAnswer},
    "logs": {"following": Following, "line": LineNote},
}
ERRORS = {
    ERROR_PARSE: "the line is no JSON",
    ERROR_INVALID_REQUEST: "it is no request, or too long",
    ERROR_UNKNOWN_METHOD: "there is no such method; the message names the nearest",
    ERROR_INVALID_PARAMS: "the parameters do not fit; the message names the field",
    ERROR_FAILED: "it was tried, or refused, and failed: `message` is for people, `data` has exit code and details",
}
PAGE = """\
# The control protocol

What commands and programs say to a supervisor. [The Python client](client.md) speaks it, and so does every command;
other languages need a
unix socket and JSON. `make docs` writes this page and [its schema](control-protocol.schema.json) from the types that
both ends use; a test fails when they are stale.

## How

Each app has a socket, `$FASTLB_HOME/apps/NAME/control.sock`, mode 0600; who connects must be its owner or root,
which the kernel says.
JSON-RPC 2.0, one message a line, at most {most:,} bytes. A request is answered by any number of notifications, then
one reply; one request at a time on a connection, 32 connections a
user. A client that says nothing for 30 seconds, or does not read, loses its connection; what it has asked for goes
on.

```
> {{"jsonrpc":"2.0","id":1,"method":"scale","params":{{"workers":4}}}}
< {{"jsonrpc":"2.0","method":"progress","params":{{"text":"worker 2 is admitted","admitted":2,"workers":4}}}}
< {{"jsonrpc":"2.0","id":1,"result":{{"text":"..."}},"protocol":{version}}}
```

An error reply has `error` in the place of `result`: {{"code", "message", "data": {{"exit_code", "details"}}}};
`exit_code` is that of
[the command](exit-codes.md), `details` a worker's traceback, for one.

| code | meaning |
|---|---|
{errors}

Text of others (names, lines, tracebacks) comes as it is: escape it before a terminal shows it. `bytes` are base64.

## Versions

Every reply says the version of the protocol, now {version}. It goes up once between two releases, with a change that
the other side would misunderstand without noticing: a method that does something
else, a parameter that means something else. A new method, or a new field with a default, does not count: an older
side refuses the first by its name, and leaves out the second.

- **Frozen** for ever: that a message is a line, the fields of requests and replies above, and {frozen} with their
  parameters and with the fields of their
  results that have no default ([why](decisions/frozen-part-of-the-control-protocol.md)). So a client of any version
  can see, replace and end an app of any version. What a version has
  answered is kept, and today's commands are tested against it.
- **Everything else** needs the same version: ask `ping` first, look at `protocol`, and give up when it is another
  one.
- Ignore fields that you do not know, and notifications as well.

## Methods

{methods}
## Types

Of results and notifications. A field with a default is left out by a supervisor that does not know it yet.

{types}"""


def page() -> str:
    """Return the whole page."""
    methods = "\n".join(_method(name) for name in METHODS)
    types = "\n".join(f"### {one.__name__}\n\n{_text(one)}\n\n{_fields(one)}\n" for one in _results())
    errors = "\n".join(f"| {code} | {meaning} |" for code, meaning in ERRORS.items())
    frozen = ", ".join(f"`{name}`" for name in FROZEN_METHODS)
    about: dict[str, Any] = {"most": MAX_MESSAGE_BYTES, "version": PROTOCOL_VERSION, "frozen": frozen, "errors": errors}
    return PAGE.format(methods=methods, types=types, **about)


def schema_text() -> str:
    """Return the schema of all methods, as its file has it."""
    types: list[type[msgspec.Struct]] = [*METHODS.values(), *_results(), ErrorData]
    _, components = msgspec.json.schema_components(dict.fromkeys(types), ref_template="#/$defs/{name}")
    methods = {
        name: {
            "frozen": name in FROZEN_METHODS,
            "params": _ref(params),
            "result": _ref(RESULTS.get(name, Done)),
            "notifications": {note: _ref(kind) for note, kind in NOTIFICATIONS.get(name, {}).items()},
        }
        for name, params in METHODS.items()
    }
    about = {"$schema": DIALECT, "title": "fastlb: the control protocol", "protocol": PROTOCOL_VERSION}
    schema = {**about, "methods": methods, "$defs": components}
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def _results() -> list[type[msgspec.Struct]]:
    """Return the types of results and notifications, and of what is in them, each once."""
    found: dict[type[msgspec.Struct], None] = {}
    for one in (Done, *RESULTS.values(), *(kind for notes in NOTIFICATIONS.values() for kind in notes.values())):
        _gather(one, found)
    return list(found)


def _gather(kind: Any, found: dict[type[msgspec.Struct], None]) -> None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in found:
        found[kind] = None
        for field in msgspec.structs.fields(kind):
            _gather(field.type, found)
    for part in get_args(kind):
        _gather(part, found)


def _ref(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _method(name: str) -> str:
    params, result = METHODS[name], RESULTS.get(name, Done)
    told = NOTIFICATIONS.get(name, {}).items()
    notes = [f"`{note}` ([{kind.__name__}](#{kind.__name__.lower()}))" for note, kind in told]
    lines = [
        f"### {name}{' (frozen)' if name in FROZEN_METHODS else ''}",
        _text(params) if msgspec.structs.fields(params) else "No parameters.",
        _fields(params),
        f"Notifications: {', '.join(notes)}." if notes else "",
        f"Result: [{result.__name__}](#{result.__name__.lower()}).",
    ]
    return "\n\n".join(line for line in lines if line) + "\n"


def _text(kind: type[msgspec.Struct]) -> str:
    return inspect.cleandoc(kind.__doc__ or "")


def _fields(kind: type[msgspec.Struct]) -> str:
    fields = msgspec.structs.fields(kind)
    if not fields:
        return ""
    rows = [f"| `{field.name}` | {type_text(field.type)} | {_default(field)} |" for field in fields]
    return "\n".join(["| field | type | default |", "|---|---|---|", *rows])


def type_text(kind: Any) -> str:
    """Return a type as a page has it: `int or None`, `list[WorkerEntry]`, one of some words."""
    if get_origin(kind) is Literal:
        return " or ".join(f"`{word}`" for word in get_args(kind))
    if get_origin(kind) is list and get_origin(get_args(kind)[0]) is Literal:
        return f"list of {type_text(get_args(kind)[0])}"
    name = kind.__name__ if isinstance(kind, type) and get_origin(kind) is None else str(kind)
    return re.sub(r"\b[\w.]+\.(\w+)", r"\1", name).replace(" | ", " or ").replace("NoneType", "None")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return ""
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return f"`{msgspec.json.encode(default).decode()}`"


def main(directory: str) -> None:
    """Write page and schema into `directory`."""
    (Path(directory) / "control-protocol.md").write_text(page())
    (Path(directory) / SCHEMA_FILE).write_text(schema_text())


if __name__ == "__main__":
    main(sys.argv[1])
