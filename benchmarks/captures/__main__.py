"""Writes docs/captures.md: `python -m benchmarks.captures`. Everything in it has just happened."""

import sys
from collections.abc import Iterator
from pathlib import Path

from .mistakes import MISTAKES
from .session import Session, session

PAGE = Path(__file__).resolve().parents[2] / "docs" / "captures.md"
HEAD = """\
# Ten mistakes, and three looks

What fastlb really answers: `make captures` writes this page by doing it, and a test makes the mistakes again.
In the folder `~/site` there are `shop/api.py` with `app`, and `blog/wsgi.py` and `mail/wsgi.py` with
`application`. The apps `shop` and `mail` run.
"""
LOOKS_HEAD = """\
## At 80 columns

On a narrow terminal the heads of tables are shorter, and what has no room is said.
"""
LOOKS = ("list", "show shop", "logs shop --lines 4 --nostream")


def mistake_sections(typist: Session) -> Iterator[str]:
    """Yield the section of each mistake."""
    for number, mistake in enumerate(MISTAKES, 1):
        yield f"## {number}. {mistake.title}\n\n{typist.make(mistake)}"


def looks(typist: Session) -> Iterator[str]:
    """Yield the section of each look."""
    yield LOOKS_HEAD
    for command in LOOKS:
        yield f"### {command.split()[0]}\n\n{typist.on_terminal(command)}"


def main() -> int:
    """Write the page."""
    with session() as typist:
        seen = list(looks(typist))
        PAGE.write_text("\n".join([HEAD, *mistake_sections(typist), *seen]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
