"""Owns what the settings of alerts mean together. Pure; any process."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import SplitResult, urlsplit

from ..errors import UsageError
from ..suggestions import did_you_mean
from .app_config import AppConfig

AlertName = Literal[
    "cpu",
    "memory",
    "restarts",
    "response_time",
    "errors",
    "unhealthy",
    "errored",
    "reload_failed",
    "disk",
    "listen_overflow",
    "channel",
]
ALERT_NAMES: tuple[AlertName, ...] = get_args(AlertName)
# No more samples are kept than this: a window that needs more has fewer, further apart.
MOST_SAMPLES = 600
# In front of the name of a variable, or the path of a file, that has the secret.
VARIABLE, FILE = "env:", "file:"
SMTP_SCHEMES = ("smtp", "smtps")
WEBHOOK_FORMS = ("json", "slack", "discord", "teams")


@dataclass(frozen=True)
class AlertRules:
    """When which alert of an app begins and ends.

    Attributes:
        cpu: percent of one core; 0 here and below: not looked at.
        memory: percent of what there is.
        restarts: how many within `restarts_window`.
        restarts_window: seconds.
        response_time: seconds.
        errors: percent of the requests.
        disk: percent of the disk of the logs.
        lasting: seconds for which something must be so before it is said; the window of errors and latencies.
        interval: seconds between two samples.
        group_wait: seconds after the first change of a message in which others join it.
        most_per_hour: messages.
        ignored: names of alerts that nobody wants to hear of.
    """

    cpu: int = 80
    memory: int = 85
    restarts: int = 5
    restarts_window: float = 600.0
    response_time: float = 1.0
    errors: int = 5
    disk: int = 90
    lasting: float = 60.0
    interval: float = 10.0
    group_wait: float = 10.0
    most_per_hour: int = 20
    ignored: frozenset[str] = frozenset()

    @property
    def sample_interval(self) -> float:
        """Seconds between two samples: so many that the longest window does not hold more than are kept."""
        return max(self.interval, self.longest_window / MOST_SAMPLES)

    @property
    def longest_window(self) -> float:
        """Seconds that the samples that are kept reach back."""
        return max(self.lasting, self.restarts_window)


def alert_rules(config: AppConfig) -> AlertRules | None:
    """Return when alerts of an app begin and end; None: nobody wants any."""
    if not config.alerts and not has_channel(config):
        return None
    return AlertRules(
        cpu=config.alert_cpu,
        memory=config.alert_memory,
        restarts=config.alert_restarts,
        restarts_window=config.alert_restarts_window,
        response_time=config.alert_response_time,
        errors=config.alert_errors,
        disk=config.alert_disk,
        lasting=config.alert_for,
        interval=config.alert_interval,
        group_wait=config.alert_group_wait,
        most_per_hour=config.alert_max_per_hour,
        ignored=frozenset(config.alert_ignore),
    )


def has_channel(config: AppConfig) -> bool:
    """Whether somebody is told of alerts."""
    return bool(config.alert_email or config.alert_webhook or config.alert_command)


def check_alerts(config: AppConfig) -> None:
    """Raise unless the settings of alerts make sense.

    Raises:
        UsageError: they do not; the message names the option, and no secret.
    """
    for name in config.alert_ignore:
        if name not in ALERT_NAMES:
            hint = did_you_mean(name, ALERT_NAMES) or f": there are {', '.join(ALERT_NAMES)}"
            raise UsageError(f"--alert-ignore: there is no alert {name!r}{hint}")
    if config.alert_command and not config.alert_command.strip():
        raise UsageError("--alert-command: it is blank: leave it out, or name a command")
    _check_addresses("--alert-email", config.alert_email)
    _check_addresses("--alert-email-from", [config.alert_email_from] if config.alert_email_from else [])
    try:
        if config.alert_smtp and not is_reference(config.alert_smtp):
            parse_smtp(config.alert_smtp)
    except ValueError as error:
        raise UsageError(f"--alert-smtp: {error}") from None
    try:
        for hook in config.alert_webhook:
            if not is_reference(split_form(hook)[1]):
                parse_webhook(hook)
    except ValueError as error:
        raise UsageError(f"--alert-webhook: {error}") from None


def _check_addresses(option: str, addresses: Iterable[str]) -> None:
    for address in addresses:
        if not is_mail_address(address):
            raise UsageError(f"{option}: {address!r} is no address of e-mail: give NAME@DOMAIN")


def is_reference(text: str) -> bool:
    """Whether a setting says where a secret is, instead of the secret."""
    return text.startswith((VARIABLE, FILE))


def is_mail_address(text: str) -> bool:
    """Whether a text may be an address of e-mail; nothing in it may end a line or an argument of SMTP."""
    name, _, domain = text.rpartition("@")
    return bool(name and domain) and text.isprintable() and not set(text) & set(" <>,;:\"")


def split_form(text: str) -> tuple[str, str]:
    """Return the form that stands in front of an address, or "", and the address: `slack+https://...`."""
    form, plus, rest = text.partition("+")
    return (form, rest) if plus and form in WEBHOOK_FORMS else ("", text)


def parse_smtp(text: str) -> SplitResult:
    """Return the parts of `smtp[s]://[USER:PASSWORD@]HOST[:PORT]`, or of `HOST[:PORT]`.

    Raises:
        ValueError: it is none; the message does not quote it, as there may be a password in it.
    """
    parts = _split(text if "://" in text else f"smtp://{text}")
    if parts.scheme not in SMTP_SCHEMES or parts.path not in ("", "/"):
        raise ValueError("give smtp://USER:PASSWORD@HOST:PORT, smtps://..., env:NAME or file:PATH")
    return parts


def parse_webhook(text: str) -> SplitResult:
    """Return the parts of the address of a webhook, without the form in front.

    Raises:
        ValueError: it is none; the message does not quote it, as such an address is a secret.
    """
    parts = _split(split_form(text)[1])
    if parts.scheme not in ("http", "https"):
        raise ValueError("give https://..., with slack+, discord+, teams+ or json+ in front, env:NAME or file:PATH")
    return parts


def _split(text: str) -> SplitResult:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("an address has no spaces, and other than ASCII characters are written as %XX")
    try:
        parts = urlsplit(text)
        is_complete = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_complete = False
    if not is_complete:
        raise ValueError("there is no host in it, or its port is none")
    return parts
