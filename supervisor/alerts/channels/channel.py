"""Owns which channels settings ask for, and how each is called where everybody may read it. Pure; the supervisor.

An address of a webhook is a secret, and so is that of a server with its password: neither is ever in a title.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ...regular_file import open_regular
from ...settings.alerting import FILE, VARIABLE, is_reference, parse_smtp, parse_webhook, split_form
from ...settings.app_config import AppConfig

LONGEST_SECRET = 8192
DEFAULT_SMTP = "smtp://localhost"


@dataclass(frozen=True)
class Channel:
    """By which somebody is told.

    Attributes:
        kind: how.
        title: for people: "email ops@example.org".
        address: of a webhook, with its form, or of a server of e-mail; secret, or where it is.
        to: addresses of e-mail.
        sender: of the e-mail.
        command: as a shell would be given it.
        cwd: in which it runs.
    """

    kind: Literal["email", "webhook", "command"]
    title: str
    address: str = field(default="", repr=False)
    to: tuple[str, ...] = ()
    sender: str = ""
    command: str = field(default="", repr=False)
    cwd: str = ""


def channels_of(config: AppConfig, host: str) -> list[Channel]:
    """Return the channels that the settings ask for; `host`: the name of this machine."""
    found = []
    if config.alert_email:
        sender = config.alert_email_from or f"fastlb@{host}"
        title = f"email {', '.join(config.alert_email)}"
        found.append(Channel("email", title, config.alert_smtp or DEFAULT_SMTP, config.alert_email, sender))
    titles: set[str] = set()
    for number, hook in enumerate(config.alert_webhook, 1):
        title = webhook_title(hook)
        title = title if title not in titles else f"{title} ({number})"
        titles.add(title)
        found.append(Channel("webhook", title, hook))
    if config.alert_command:
        title = f"command {config.alert_command.split()[0]}"
        found.append(Channel("command", title, command=config.alert_command, cwd=config.cwd))
    return found


def webhook_title(hook: str) -> str:
    """Return what may be shown of a webhook: its host, or where its address is."""
    form, address = split_form(hook)
    where = address if is_reference(address) else parse_webhook(address).hostname
    return f"webhook {form + ' ' if form else ''}{where}"


def resolved(text: str, environ: Mapping[str, str]) -> str:
    """Return a secret: `text` itself, or what is in the variable or file that it names, without white space around.

    Raises:
        ValueError: there is none; the message says where it was looked for.
    """
    if text.startswith(VARIABLE):
        name = text.removeprefix(VARIABLE)
        if not environ.get(name):
            raise ValueError(f"the variable {name} is not set")
        return environ[name].strip()
    if text.startswith(FILE):
        path = Path(text.removeprefix(FILE))
        try:
            with open(open_regular(path, os.O_RDONLY), "rb") as file:
                return file.read(LONGEST_SECRET).decode().strip()
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'no UTF-8'}") from None
    return text


def resolved_hook(hook: str, environ: Mapping[str, str]) -> str:
    """Return the address of a webhook, with the form in front that it has, or that its secret has.

    Raises:
        ValueError: it cannot be found, or is none; the message does not quote it.
    """
    form, address = split_form(hook)
    found = resolved(address, environ)
    parse_webhook(found)
    return f"{form}+{split_form(found)[1]}" if form else found


def resolved_smtp(text: str, environ: Mapping[str, str]) -> str:
    """Return the address of a server of e-mail.

    Raises:
        ValueError: as `resolved_hook`.
    """
    found = resolved(text, environ)
    parse_smtp(found)
    return found
