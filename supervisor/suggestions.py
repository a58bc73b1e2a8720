"""Owns "did you mean": the known word that is nearest to a mistyped one. Pure; any process."""

from collections.abc import Iterable

# Of difflib, 0..1. One exchanged letter of three leaves 0.67; at the usual 0.6 `nomodule` is like `mdurl`.
LEAST_LIKENESS = 0.65


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the word of `known` that is most like `word`, or None when none is near enough."""
    import difflib  # only a mistake needs it

    by_folded = {candidate.casefold(): candidate for candidate in known}
    matches = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=LEAST_LIKENESS)
    return by_folded[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean NEAREST?`, or nothing, to be put behind a message."""
    suggestion = nearest(word, known)
    return f"; did you mean {suggestion}?" if suggestion else ""
