"""Owns what `metrics_bind` may be. Pure; supervisor and shell."""

from ..errors import UsageError
from .addresses import TcpAddress, UnixAddress, parse_address


def check_metrics_bind(text: str) -> None:
    """Raise for what is no address that metrics can be served at.

    Raises:
        ValueError: says what to write.
    """
    try:
        address = parse_address(text) if text else None
    except UsageError as error:
        raise ValueError(error.message.partition(": ")[2]) from None
    if text and not isinstance(address, TcpAddress | UnixAddress):
        raise ValueError(f"{text!r}: write HOST:PORT, PORT (127.0.0.1) or unix:PATH")
