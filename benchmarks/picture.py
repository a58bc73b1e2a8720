"""Owns what the README shows of the comparison: its tables and docs/comparison.svg, made from benchmarks/results.

    python -m benchmarks.picture

Every row of the results is shown, those in which others are faster too; nothing is measured here.
"""

import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import msgspec

from .compare.report import COLOURS
from .compare.rows import ROWS, Medians

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
README, PICTURE = ROOT / "README.md", ROOT / "docs" / "comparison.svg"
BEGIN, END = "<!-- comparison: written by make docs -->\n", "<!-- end of comparison -->\n"
TITLES = {row.key: row.title for row in ROWS}
WIDTH, BAR_WIDTH, BAR_HEIGHT, LABEL_WIDTH = 760, 420, 12, 100


class Row(msgspec.Struct, frozen=True):
    """What the results say of one load."""

    medians: dict[str, Medians]


class Results(msgspec.Struct, frozen=True):
    """One file of results: where and when it was measured, and its rows by key."""

    machine: list[str]
    rows: dict[str, Row]

    @property
    def servers(self) -> list[str]:
        """All servers of the rows, in the order in which they come."""
        return list(dict.fromkeys(name for row in self.rows.values() for name in row.medians))


def read_results() -> list[Results]:
    """Return the results of Python and of Node."""
    return [msgspec.json.decode((RESULTS / f"{name}.json").read_bytes(), type=Results) for name in ("compare", "node")]


def table(results: Results) -> Iterator[str]:
    """Yield the lines of a table: a row for each load, a column for each server; the fastest is bold."""
    servers = results.servers
    yield f"| requests/s (CPU us a request) | {' | '.join(servers)} |"
    yield "|---|" + "---:|" * len(servers)
    for key, row in results.rows.items():
        fastest = max(row.medians.values(), key=lambda medians: medians.per_second)
        cells = [cell(row.medians.get(name), row.medians.get(name) is fastest) for name in servers]
        yield f"| {TITLES[key]} | {' | '.join(cells)} |"
        yield from waiting_row(row, servers)
    yield ""
    yield "; ".join(line.removeprefix("- ") for line in results.machine[:3]) + "."
    yield ""


def waiting_row(row: Row, servers: Sequence[str]) -> Iterator[str]:
    """Yield the line that says how many clients had to wait for a block, where that was counted; the least is bold."""
    counts = {name: medians.stranded_per_block for name, medians in row.medians.items()}
    known = {name: count for name, count in counts.items() if count is not None}
    if known:
        least = min(known.values())
        figures = {name: f"**{count:.1f}**" if count == least else f"{count:.1f}" for name, count in known.items()}
        cells = [figures.get(name, "-") for name in servers]
        yield f"| ... clients that had to wait for it, a block | {' | '.join(cells)} |"


def cell(medians: Medians | None, is_fastest: bool) -> str:
    """Return the figures of one server."""
    if medians is None:
        return "-"
    figure = f"{medians.per_second:,.0f}"
    return f"{f'**{figure}**' if is_fastest else figure} ({medians.cpu_us:.0f})"


def with_tables(readme: str, all_results: Sequence[Results]) -> str:
    """Return the README with the tables between its two marks."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    lines = [line for results in all_results for line in table(results)]
    return f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}"


def draw(all_results: Sequence[Results]) -> str:
    """Return the picture: for each load the throughput of each server, as a part of the fastest one's."""
    parts: list[str] = []
    y = 10
    for results in all_results:
        for key, row in results.rows.items():
            y += 20
            parts.append(f'<text x="10" y="{y}" font-weight="bold">{escape(TITLES[key])}</text>')
            fastest = max(medians.per_second for medians in row.medians.values())
            for name, medians in row.medians.items():
                y += BAR_HEIGHT + 4
                parts += bar(y, name, medians.per_second, fastest)
            y += 8
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 10}" width="{WIDTH}"'
    style = 'font-family="sans-serif" font-size="12" role="img" aria-label="requests a second of each server"'
    background = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([f"{opening} {style}>", background, *parts, "</svg>", ""])


def bar(y: int, name: str, per_second: float, fastest: float) -> list[str]:
    """Return label, bar and figure of one server."""
    length = BAR_WIDTH * per_second / fastest
    top = y - BAR_HEIGHT + 2
    colour = COLOURS.get(name, "#999")
    return [
        f'<text x="10" y="{y}">{escape(name)}</text>',
        f'<rect x="{LABEL_WIDTH}" y="{top}" width="{length:.0f}" height="{BAR_HEIGHT}" fill="{colour}"/>',
        f'<text x="{LABEL_WIDTH + length + 8:.0f}" y="{y}">{per_second:,.0f}/s</text>',
    ]


def main() -> int:
    """Write the README's tables and the picture."""
    all_results = read_results()
    README.write_text(with_tables(README.read_text(), all_results))
    PICTURE.write_text(draw(all_results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
