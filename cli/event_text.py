"""Owns how an event is shown to people, and as which JSON object to programs. Pure; runs in the user's shell."""

from typing import Any

from ..supervisor.output.event_record import Event
from ..supervisor.safe_text import escape_line

NAME_WIDTH = 22


def describe_event(event: Event, *, has_app: bool) -> tuple[str, str]:
    """Return a line in two parts: when and what, and about whom and why. Nothing in it can look like another line."""
    fields = dict(event.fields)
    head = f"{event.time} {event.app + ' ' if has_app else ''}{event.event:<{NAME_WIDTH}}"
    worker, pid = fields.pop("worker_id", None), fields.pop("pid", None)
    fields.pop("generation", None)
    who = [f"worker {worker}"] if worker is not None else []
    who += [f"pid {pid}"] if pid is not None else []
    reason = fields.pop("reason", "")
    about = " ".join(who) + (": " if who and reason else "") + str(reason)
    rest = " ".join(f"{name}={value}" for name, value in fields.items())
    text = " ".join(part for part in (about, f"({rest})" if rest and about else rest) if part)
    return escape_line(head), escape_line(f" {text}" if text else "")


def event_members(event: Event) -> dict[str, Any]:
    """Return the members of the event's JSON object, as they stand in its file."""
    return {"time": event.time, "level": event.level, "event": event.event, "app": event.app, **event.fields}
