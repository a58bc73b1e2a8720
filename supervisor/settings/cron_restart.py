"""Owns what `cron_restart` may be: a cron pattern, or off. Pure; supervisor and shell."""

from .cron import EXAMPLE, next_time

OFF = ("", "0")


def is_scheduled(pattern: str) -> bool:
    """Whether a value of `cron_restart` names times."""
    return pattern not in OFF


def check_cron_restart(text: str) -> None:
    """Raise unless workers can be replaced at such times.

    Raises:
        ValueError: says what is wrong with it.
    """
    if not is_scheduled(text):
        return
    if " " not in text.strip():
        raise ValueError(
            f"{text!r} is no cron pattern such as {EXAMPLE}, nor 0 for none (a configuration file is the target:"
            " `fastlb start FILE`)"
        )
    next_time(text, 0.0)
