"""Owns which known word a mistyped one is most like. Pure; runs in workers, and in the supervisor and the shell.

A word is near when few slips lead to it: a letter too many, missing, exchanged or swapped with its neighbour; or
when it was not typed to its end. Share of equal letters is no measure: `main` would be near `email`.
"""

from collections.abc import Iterable

# The most slips in a word of at least so many letters.
SLIPS = ((12, 3), (6, 2), (3, 1))
SHORTEST_BEGINNING = 4
MAX_LETTERS = 64


def nearest_word(word: str, known: Iterable[str]) -> str | None:
    """Return the word of `known` that `word` was probably meant to be, or None. Case and dashes do not count."""
    typed = _letters(word)
    if len(typed) > MAX_LETTERS:
        return None
    candidates = [(candidate, _letters(candidate)) for candidate in known]
    slips = [(_slips(typed, letters), candidate) for candidate, letters in candidates if _may_be(typed, letters)]
    near = [(count, candidate) for count, candidate in slips if count <= _allowed(typed, _letters(candidate))]
    if near:
        return min(near, key=lambda found: found[0])[1]
    begun = [candidate for candidate, letters in candidates if letters.startswith(typed)]
    return begun[0] if len(begun) == 1 and len(typed) >= SHORTEST_BEGINNING else None


def _letters(word: str) -> str:
    return word.casefold().replace("-", "").replace("_", "")


def _may_be(typed: str, letters: str) -> bool:
    return abs(len(typed) - len(letters)) <= _allowed(typed, letters) and len(letters) <= MAX_LETTERS


def _allowed(typed: str, letters: str) -> int:
    longest = max(len(typed), len(letters))
    return next((slips for length, slips in SLIPS if longest >= length), 0)


def _slips(typed: str, meant: str) -> int:
    """Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours."""
    before: list[int] = []
    last = list(range(len(meant) + 1))
    for row, letter in enumerate(typed, 1):
        now = [row]
        for column, other in enumerate(meant, 1):
            best = min(last[column] + 1, now[-1] + 1, last[column - 1] + (letter != other))
            if row > 1 and column > 1 and letter == meant[column - 2] and typed[row - 2] == other:
                best = min(best, before[column - 2] + 1)
            now.append(best)
        before, last = last, now
    return last[-1]
