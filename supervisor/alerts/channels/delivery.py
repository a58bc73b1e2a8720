"""Owns one try to tell somebody: by what kind of channel, with which secrets. Runs in the supervisor process.

Secrets are looked up at each try, so that another one needs no restart. What speaks to a network does so in a thread,
and is imported when it is first needed.
"""

from collections.abc import Callable, Mapping
from functools import partial

from ..background import awaited
from ..message import Message
from .channel import Channel, resolved_hook, resolved_smtp
from .command import run
from .cut_off import words_of


async def deliver(channel: Channel, message: Message, environ: Mapping[str, str]) -> str:
    """Tell by a channel; return "" when it was taken, else why not. Raises nothing.

    `environ`: where secrets may be, and the environment of a command.
    """
    work = _post if channel.kind == "webhook" else _send
    try:
        if channel.kind == "command":
            return await run(channel.command, channel.cwd, environ, message)
        return await awaited(channel.kind, partial(_safely, partial(work, channel, message, environ)))
    except Exception as error:  # noqa: BLE001 - no thread, no descriptor: a failure among others, and tried again
        return words_of(error)


def _safely(work: Callable[[], str]) -> str:
    try:
        return work()
    except ValueError as error:  # of a secret, which it does not quote
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever the other side makes of us, it is a failure among others
        return words_of(error)


def _post(channel: Channel, message: Message, environ: Mapping[str, str]) -> str:
    from .webhook import post

    return post(resolved_hook(channel.address, environ), message)


def _send(channel: Channel, message: Message, environ: Mapping[str, str]) -> str:
    from .email import send

    return send(resolved_smtp(channel.address, environ), (channel.sender, channel.to), message)
