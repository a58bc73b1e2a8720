"""Owns the choice by what a worker proves that it is ready. Pure; any process."""

from typing import Literal

from ..errors import UsageError
from .app_config import AppConfig, ReadyWhen
from .traits import WorkerTraits

# As ReadyWhen; "settle": it has lived for so long.
Proof = Literal["serving", "said", "port", "uptime", "settle"]


def proof_of(config: AppConfig, traits: WorkerTraits) -> Proof:
    """Return by what the workers of an app prove that they are ready."""
    if config.ready_when != "auto":
        return config.ready_when
    if config.wait_ready:
        return "said"
    return "settle" if traits.is_ready_by_living else "serving"


def check_readiness(config: AppConfig, traits: WorkerTraits) -> None:
    """Raise unless workers of this kind can prove that they are ready in the way that is wanted.

    Raises:
        UsageError: they cannot, or two different ways are wanted.
    """
    wanted = config.ready_when
    if config.wait_ready and wanted not in ("auto", "said"):
        raise UsageError(f"--wait-ready: this means --ready-when said, and {wanted} was given: leave one out")
    possible: tuple[ReadyWhen, ...] = ("said", "port", "uptime") if traits.is_ready_by_living else ("serving", "said")
    if wanted not in ("auto", *possible):
        raise UsageError(
            f"--ready-when {wanted}: this has no meaning for {config.target}, which is a {traits.title} app:"
            f" give {' or '.join(possible)}, or leave it out"
        )
    if wanted == "port" and config.bind:
        raise UsageError(
            "--ready-when port: with --bind the sockets are ours, and connections to them succeed before the program"
            " serves: give said or uptime, or leave it out"
        )
