"""Owns what a datagram of sd_notify(3) says. Pure.

Runs in the supervisor process. Variables that are not known mean nothing, as under systemd.
"""

from dataclasses import dataclass

LONGEST_STATUS = 200


@dataclass(frozen=True)
class Notice:
    """What a worker has said.

    Attributes:
        is_ready: it serves, from now on or again (READY=1).
        is_reloading: it is not ready until it says READY=1 again (RELOADING=1).
        is_stopping: it ends by itself (STOPPING=1).
        is_alive: a sign of life (WATCHDOG=1).
        is_failed: it asks for its own end, because it has found out that it does not work (WATCHDOG=trigger).
        status: a phrase for people (STATUS=...), bounded; None: it says none.
    """

    is_ready: bool = False
    is_reloading: bool = False
    is_stopping: bool = False
    is_alive: bool = False
    is_failed: bool = False
    status: str | None = None


def parse_notice(datagram: bytes) -> Notice:
    """Return what a datagram says: lines of NAME=VALUE."""
    words: dict[str, str] = {}
    for line in datagram.decode(errors="replace").split("\n"):
        name, equals, value = line.partition("=")
        if equals:
            words[name] = value
    status = words.get("STATUS")
    return Notice(
        is_ready=words.get("READY") == "1",
        is_reloading=words.get("RELOADING") == "1",
        is_stopping=words.get("STOPPING") == "1",
        is_alive=words.get("WATCHDOG") == "1",
        is_failed=words.get("WATCHDOG") == "trigger",
        status=None if status is None else status[:LONGEST_STATUS],
    )
