"""Owns that `--watch` may stand alone or have a path behind it, as PM2's. Runs in the user's shell."""

from collections.abc import Callable, Collection, Sequence

from ..supervisor.settings.watch_words import ON

WATCH = "--watch"
ALONE = f"{WATCH}={ON[0]}"


def with_values(
    args: Sequence[str], takes_value: Collection[str], has_excess: Callable[[list[str]], bool]
) -> list[str]:
    """Return the arguments with a value for each `--watch`.

    What follows it is its path if that is one word more than the command takes: so in `--watch src server:app`, and not
    in `--watch server:app`.

    Args:
        args: as typed.
        takes_value: options whose value is the next word, even if that is `--watch`.
        has_excess: whether there are more words among arguments than the command takes.
    """
    found = list(args)
    for at, (before, word) in enumerate(zip(["", *args], args, strict=False)):
        if word == WATCH and before not in takes_value:
            found[at] = ALONE
    for at in reversed(range(len(found) - 1)):
        if found[at] == ALONE and not found[at + 1].startswith("-") and has_excess(found):
            found[at : at + 2] = [f"{WATCH}={found[at + 1]}"]
    return found
