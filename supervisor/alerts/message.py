"""Owns what people and programs are told of alerts: the object, and how it looks in each form. Pure; the supervisor.

docs/alerts.md has the object: names that are here keep their meaning.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from ..safe_text import escape_line

# Discord refuses more, and nobody reads it.
LONGEST_TEXT = 1800
CARD_SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"


class Alert(msgspec.Struct, frozen=True):
    """An alert, as a message has it. `began_at`: UTC, as in events; `text`: what is, or was, wrong."""

    name: str
    began_at: str
    text: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is told at a time.

    Attributes:
        app, host: where.
        at: when, UTC.
        begun, ended: what is wrong since the last message, and what is not any more.
        on: names of all alerts that are on.
        is_test: a person has asked for it, and nothing is wrong.
        sms: numbers that the command may send it to.
    """

    app: str
    host: str
    at: str
    begun: list[Alert] = []
    ended: list[Alert] = []
    on: list[str] = []
    is_test: bool = False
    sms: list[str] = []


def as_json(message: Message) -> bytes:
    """Return the object, on one line."""
    return msgspec.json.encode(message) + b"\n"


def subject(message: Message) -> str:
    """Return one line: what, and of which app."""
    if message.is_test:
        what = "a test of the alerts"
    else:
        ended = f"over: {_names(message.ended)}" if message.ended else ""
        what = "; ".join(filter(None, [_names(message.begun), ended]))
    return escape_line(f"[fastlb] {message.app} on {message.host}: {what}")


def plain_text(message: Message) -> str:
    """Return the whole for people, some lines."""
    lines = [subject(message), ""]
    lines += ["Nothing is wrong: somebody wants to see that this arrives."] if message.is_test else []
    lines += [f"begun  {alert.name} ({alert.began_at}): {alert.text}" for alert in message.begun]
    lines += [f"over   {alert.name} (since {alert.began_at}): it was: {alert.text}" for alert in message.ended]
    lines += [f"on     {', '.join(message.on)}"] if message.on else []
    return "\n".join(map(escape_line, lines))[:LONGEST_TEXT]


def _names(alerts: list[Alert]) -> str:
    return ", ".join(alert.name for alert in alerts)


def _slack(message: Message) -> Any:
    """api.slack.com/reference/surfaces/formatting: three characters mean something."""
    text = plain_text(message).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": text}


def _discord(message: Message) -> Any:
    """discord.com/developers/docs/resources/webhook: nobody is to be called by what a worker says."""
    return {"content": plain_text(message), "allowed_mentions": {"parse": []}}


def _teams(message: Message) -> Any:
    """An adaptive card, as the workflows of Teams take it."""
    block = {"type": "TextBlock", "text": plain_text(message), "wrap": True}
    card = {"$schema": CARD_SCHEMA, "type": "AdaptiveCard", "version": "1.4", "body": [block]}
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


FORMS: dict[str, Callable[[Message], Any]] = {"slack": _slack, "discord": _discord, "teams": _teams}
# By the host of an address, or the end of it, which form it takes.
HOSTS = {
    "hooks.slack.com": "slack",
    "discord.com": "discord",
    "discordapp.com": "discord",
    ".webhook.office.com": "teams",
    ".logic.azure.com": "teams",
    ".api.powerplatform.com": "teams",
}


def form_of_host(host: str) -> str:
    """Return the form that a host takes: "json" of one that is not known."""
    return next((form for known, form in HOSTS.items() if host == known or host.endswith(known)), "json")


def body_in(form: str, message: Message) -> bytes:
    """Return the body of a request in a form."""
    return msgspec.json.encode(FORMS[form](message)) if form in FORMS else as_json(message)
