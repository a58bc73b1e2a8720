"""Owns what the settings of health checks mean together. Pure; any process."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from ..errors import UsageError
from .app_config import AppConfig

DEFAULT_INTERVAL = 30.0
DEFAULT_HOST = "localhost"
TCP = "tcp"
# In front of a command whose path begins with a slash, as a path of HTTP does.
EXEC = "exec:"
CheckKind = Literal["http", "tcp", "command"]


@dataclass(frozen=True)
class HealthPlan:
    """How the workers of an app are asked.

    Attributes:
        kind: by what.
        path, host, is_tls: of "http": what is asked for, the Host header, and whether TLS is spoken.
        text: what the response must contain; "": anything.
        command: of "command": as a shell would be given it.
        interval: seconds between two questions while all is well.
        grace_period: seconds since the start of a process in which it is not ill, whatever it answers.
        timeout: seconds for an answer.
        failures: in a row, after which a worker is replaced.
        successes: in a row, after which it is healthy again.
    """

    kind: CheckKind
    path: str = ""
    host: str = ""
    is_tls: bool = False
    text: str = ""
    command: str = ""
    interval: float = DEFAULT_INTERVAL
    grace_period: float = 3.0
    timeout: float = 5.0
    failures: int = 3
    successes: int = 1

    @property
    def question(self) -> str:
        """What is asked, for people."""
        return {"http": f"GET {self.path}", "tcp": TCP, "command": self.command}[self.kind]


def health_plan(config: AppConfig) -> HealthPlan | None:
    """Return how the workers of an app are asked; None: not at all. An interval alone means "tcp".

    Raises:
        UsageError: it says nothing that could be asked.
    """
    wanted = config.health_check or (TCP if config.health_check_interval else "")
    if not wanted:
        return None
    kind, path, host, is_tls, command = _parsed(wanted)
    return HealthPlan(
        kind=kind,
        path=path,
        host=host,
        is_tls=is_tls or bool(config.ssl_certfile and kind == "http"),
        command=command,
        text=config.health_check_text,
        interval=config.health_check_interval or DEFAULT_INTERVAL,
        grace_period=config.health_check_grace_period,
        timeout=config.health_check_timeout,
        failures=config.health_check_failures,
        successes=config.health_check_successes,
    )


def check_health(config: AppConfig) -> None:
    """Raise unless the settings of health checks fit together.

    Raises:
        UsageError: they do not.
    """
    plan = health_plan(config)
    if config.health_check_text and (plan is None or plan.kind != "http"):
        raise UsageError("--health-check-text: only an HTTP response has a text: give --health-check /PATH")
    if plan and plan.kind == "http" and config.ssl_cert_reqs == 2:
        raise UsageError(
            "--health-check: the workers ask for client certificates (--ssl-cert-reqs 2), and we have none:"
            " give tcp or a command"
        )


def _parsed(wanted: str) -> tuple[CheckKind, str, str, bool, str]:
    if wanted == TCP:
        return "tcp", "", "", False, ""
    if wanted.startswith("/"):
        return "http", wanted, DEFAULT_HOST, False, ""
    if wanted.startswith(("http://", "https://")):
        url = _url(wanted)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        return "http", path, url.netloc or DEFAULT_HOST, url.scheme == "https", ""
    command = wanted.removeprefix(EXEC)
    if not command.strip():
        raise UsageError(f"--health-check {wanted}: there is no command in it: give one, /PATH or tcp")
    return "command", "", "", False, command


def _url(wanted: str) -> SplitResult:
    try:
        return urlsplit(wanted)
    except ValueError as error:
        raise UsageError(f"--health-check {wanted}: this is no address ({error}): give /PATH") from None
