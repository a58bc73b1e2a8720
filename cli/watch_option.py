"""Owns that `--watch` may stand alone or have a path behind it, as PM2's. Runs in the user's shell."""

from collections.abc import Callable, Sequence

from ..supervisor.settings.watch_words import ON

WATCH = "--watch"
ALONE = f"{WATCH}={ON[0]}"


def with_values(args: Sequence[str], has_excess: Callable[[list[str]], bool]) -> list[str]:
    """Return the arguments with a value for each `--watch`.

    What follows it is its path if that is one word more than the command takes: so in `--watch src server:app`, and not
    in `--watch server:app`.

    Args:
        args: as typed.
        has_excess: whether there are more words among arguments than the command takes.
    """
    found = list(args)
    for at in [at for at, word in enumerate(found) if word == WATCH]:
        found[at] = ALONE
    for at in reversed(range(len(found) - 1)):
        if found[at] == ALONE and not found[at + 1].startswith("-") and has_excess(found):
            found[at : at + 2] = [f"{WATCH}={found[at + 1]}"]
    return found
