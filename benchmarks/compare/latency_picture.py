"""Owns the picture of latencies: for each row with uneven work, which share of the requests took longer than so long.

Both axes are logarithmic, because a client in a thousand that waits for 50 ms is what the picture is about. Drawn by
hand as SVG: nothing to install.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import log10

from .report import COLOURS
from .rows import Row

WIDTH, HEIGHT, LEFT, BETWEEN = 640, 160, 70, 60
LONGEST_MS, SMALLEST_SHARE = 100, 1e-5
OTHER_COLOUR = "#999"

# of each server: how many requests took so many whole milliseconds
Counts = Mapping[str, Sequence[int]]


def draw_latencies(rows: Sequence[tuple[Row, Counts]]) -> str:
    """Return the picture of these rows, one below the other."""
    parts = [part for number, (row, counts) in enumerate(rows) for part in panel(number, row.title, counts)]
    size = f'width="{WIDTH + 2 * LEFT}" height="{len(rows) * (HEIGHT + BETWEEN) + 20}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([opening, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])


def panel(number: int, title: str, counts: Counts) -> Iterator[str]:
    """Yield one row: title, axes, a line for each server."""
    top = number * (HEIGHT + BETWEEN) + 30
    yield f'<text x="10" y="{top - 12}" font-weight="bold">{escape(title)}: share of requests above</text>'
    for milliseconds in (1, 2, 5, 10, 20, 50, 100):
        x = x_of(milliseconds)
        yield f'<line x1="{x:.0f}" y1="{top}" x2="{x:.0f}" y2="{top + HEIGHT}" stroke="#ddd"/>'
        yield f'<text x="{x - 8:.0f}" y="{top + HEIGHT + 14}">{milliseconds} ms</text>'
    for share, label in ((1.0, "100 %"), (0.1, "10 %"), (0.01, "1 %"), (0.001, "0.1 %"), (0.0001, "0.01 %")):
        y = y_of(share, top)
        yield f'<line x1="{LEFT}" y1="{y:.0f}" x2="{LEFT + WIDTH}" y2="{y:.0f}" stroke="#ddd"/>'
        yield f'<text x="10" y="{y + 4:.0f}">{label}</text>'
    for place, (name, found) in enumerate(counts.items()):
        yield from curve(name, found, top, place)


def curve(name: str, counts: Sequence[int], top: int, place: int) -> Iterator[str]:
    """Yield the line of one server, and its name in its colour."""
    colour = COLOURS.get(name, OTHER_COLOUR)
    points = " ".join(f"{x_of(ms):.1f},{y_of(share, top):.1f}" for ms, share in shares_above(counts))
    yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
    yield f'<text x="{LEFT + WIDTH - 80}" y="{top + 16 + 16 * place}" fill="{colour}">{escape(name)}</text>'


def shares_above(counts: Sequence[int]) -> Iterator[tuple[int, float]]:
    """Yield milliseconds and the share of the requests that took so long or longer, from 1 ms on."""
    above, total = sum(counts), max(sum(counts), 1)
    for milliseconds, count in enumerate(counts):
        if milliseconds:
            yield milliseconds, above / total
        above -= count


def x_of(milliseconds: float) -> float:
    """Return where a latency lies."""
    return LEFT + WIDTH * log10(milliseconds) / log10(LONGEST_MS)


def y_of(share: float, top: int) -> float:
    """Return where a share lies in the panel that begins at `top`."""
    return top + HEIGHT * log10(max(share, SMALLEST_SHARE)) / log10(SMALLEST_SHARE)
