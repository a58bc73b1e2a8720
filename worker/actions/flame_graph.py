"""Owns how samples are drawn: a flame graph as SVG, which any browser shows. Pure.

A box is a call, as wide as the time it and all that it called have used; what it called stands on it. The full name and
the share are the box's title, which browsers show below the pointer.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from zlib import crc32

from .profile import Samples

WIDTH, ROW, MARGIN = 1200, 17, 10
CHARACTER_WIDTH = 6.6
# Of the whole; what is narrower nobody could see.
NARROWEST = 0.001
MOST_BOXES = 20_000
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" version="1.1" width="{width}" height="{height}"'
    ' viewBox="0 0 {width} {height}" font-family="monospace" font-size="11">\n'
    '<rect width="100%" height="100%" fill="#fdfdfa"/>\n'
    '<text x="{margin}" y="16" font-size="13">{title}</text>\n'
)


@dataclass
class Call:
    """A call with all that it called: `nanoseconds` of both together."""

    nanoseconds: int = 0
    called: dict[str, "Call"] = field(default_factory=dict)

    def add(self, stack: tuple[str, ...], nanoseconds: int) -> None:
        """Count a stack below this call."""
        self.nanoseconds += nanoseconds
        call = self
        for name in stack:
            call = call.called.setdefault(name, Call())
            call.nanoseconds += nanoseconds


@dataclass(frozen=True)
class Box:
    """A call as it is drawn: `left` and `share` are parts of the whole width, `depth` counts rows."""

    name: str
    depth: int
    left: float
    share: float


def flame_graph(samples: Samples) -> str:
    """Return the SVG of what was seen."""
    root = Call()
    for stack, nanoseconds in sorted(samples.nanoseconds.items()):
        root.add(stack, nanoseconds)
    boxes = list(boxes_of(root))[:MOST_BOXES]
    rows = max((box.depth for box in boxes), default=0) + 1
    height = rows * ROW + 3 * MARGIN + 20
    title = escape(f"{samples.cpu_seconds:.2f} s on the processor, {samples.samples} samples")
    head = HEAD.format(width=WIDTH, height=height, margin=MARGIN, title=title)
    drawn = (drawn_box(box, height, samples.cpu_seconds) for box in boxes)
    return head + "".join(drawn) + "</svg>\n"


def boxes_of(root: Call) -> Iterator[Box]:
    """Yield a box for each call that is wide enough to be seen, row by row from below."""
    row = [(root, 0.0)]
    depth = 0
    while row:
        above: list[tuple[Call, float]] = []
        for call, start in row:
            left = start
            for name, called in call.called.items():
                share = called.nanoseconds / max(root.nanoseconds, 1)
                if share >= NARROWEST:
                    yield Box(name, depth, left, share)
                    above.append((called, left))
                left += share
        row = above
        depth += 1


def drawn_box(box: Box, height: int, seconds: float) -> str:
    """Return the SVG of one box."""
    inner = WIDTH - 2 * MARGIN
    x, width = MARGIN + box.left * inner, box.share * inner
    y = height - MARGIN - (box.depth + 1) * ROW
    fits = int((width - 4) / CHARACTER_WIDTH)
    text = box.name if len(box.name) <= fits else box.name[: fits - 2] + ".." if fits > 4 else ""
    shade = crc32(box.name.encode(errors="replace"))
    color = f"rgb({205 + shade % 50},{90 + shade // 50 % 110},{shade // 5500 % 60})"
    title = f"{box.name}: {box.share * seconds:.3f} s, {100 * box.share:.1f} %"
    return (
        f'<g><title>{escape(printable(title))}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}"'
        f' fill="{color}"/><text x="{x + 2:.1f}" y="{y + 12}">{escape(printable(text))}</text></g>\n'
    )


def printable(text: str) -> str:
    """Return the text without characters that XML may not have."""
    return "".join(character if character.isprintable() else "?" for character in text)
