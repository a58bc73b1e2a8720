"""Owns how results look: a Markdown table, and bars as SVG, written by hand: nothing to install."""

from html import escape

from .measuring import Footprint
from .rows import Medians, Outcome, Row
from .servers import OURS

BAR_WIDTH, BAR_HEIGHT, LABEL_WIDTH = 420, 16, 90
COLOURS = {
    "fastlb": "#2f6f4f",
    "uvicorn": "#8aa5c4",
    "granian": "#c4a58a",
    "gunicorn": "#b0b0b0",
    "node-cluster": "#8aa5c4",
    "pm2": "#c4a58a",
}
LARGEST_PSS_MIB = 35.0
LONGEST_LIST_SECONDS = 0.12


def render_row(row: Row, outcome: Outcome) -> list[str]:
    """Return the table of one row."""
    has_blocks = any(median.stranded_per_block is not None for median in outcome.medians.values())
    stranded = " stranded a block |" if has_blocks else ""
    lines = [
        f"## {row.title}",
        "",
        f"| server | requests/s | fastlb is | CPU us/request | of it balancer | p50 ms | p99 ms | failed |{stranded}",
        "|---|---|---|---|---|---|---|---|" + "---|" * has_blocks,
    ]
    lines += [render_server(name, median, outcome) for name, median in outcome.medians.items()]
    return [*lines, "", *verdict(row, outcome), ""]


def render_server(name: str, median: Medians, outcome: Outcome) -> str:
    """Return the line of one server."""
    times = f"{outcome.ratios[name]:.2f} x" if name in outcome.ratios else ""
    stranded = "" if median.stranded_per_block is None else f" {median.stranded_per_block:.2f} |"
    return (
        f"| {name} | {median.per_second:,.0f} | {times} | {median.cpu_us:.1f} | {median.balancer_us:.1f} | "
        f"{median.p50_ms:.2f} | {median.p99_ms:.2f} | {median.failed} |{stranded}"
    )


def verdict(row: Row, outcome: Outcome) -> list[str]:
    """Return the budget and whether it was kept."""
    missing = [name for name in (OURS, *row.against) if name not in outcome.medians]
    if missing:
        return [f"Budget: {row.budget}. Not judged without {', '.join(missing)}."]
    balancer = f"Supervisor and dispatcher together: {outcome.ours.balancer_us:.2f} us CPU per request."
    return [f"Budget: {row.budget}: {word(row.is_kept(outcome))}. {balancer}"]


def render_footprint(found: Footprint) -> list[str]:
    """Return the lines about memory and `fastlb list`."""
    wall_ms, budget_ms = found.list_seconds * 1000, LONGEST_LIST_SECONDS * 1000
    together = found.supervisor_pss_mib + found.dispatcher_pss_mib
    fits = word(together <= LARGEST_PSS_MIB)
    pss = f"{found.supervisor_pss_mib:.1f} + {found.dispatcher_pss_mib:.1f} = {together:.1f} MiB"
    return [
        "## What it costs to have it",
        "",
        "| what | measured | budget | |",
        "|---|---|---|---|",
        f"| PSS of supervisor + dispatcher | {pss} | {LARGEST_PSS_MIB:.0f} MiB | {fits} |",
        f"| `fastlb list`, wall | {wall_ms:.0f} ms | {budget_ms:.0f} ms | {word(wall_ms <= budget_ms)} |",
        "",
    ]


def word(kept: bool) -> str:
    """Return kept or missed."""
    return "kept" if kept else "**missed**"


def draw(rows: list[tuple[Row, Outcome]]) -> str:
    """Return the picture: for each row bars of throughput, with CPU per request beside."""
    parts: list[str] = []
    y = 10
    for row, outcome in rows:
        y += 22
        parts.append(f'<text x="10" y="{y}" font-weight="bold">{escape(row.title)}</text>')
        fastest = max((median.per_second for median in outcome.medians.values()), default=1.0)
        for name, median in outcome.medians.items():
            y += BAR_HEIGHT + 4
            parts += draw_bar(y, name, median, fastest)
        y += 12
    width = LABEL_WIDTH + BAR_WIDTH + 260
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + 10}"'
    style = 'font-family="sans-serif" font-size="12"'
    background = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([f"{opening} {style}>", background, *parts, "</svg>", ""])


def draw_bar(y: int, name: str, median: Medians, fastest: float) -> list[str]:
    """Return label, bar and figures of one server."""
    length = BAR_WIDTH * median.per_second / fastest
    figures = f"{median.per_second:,.0f}/s, {median.cpu_us:.0f} us CPU, p99 {median.p99_ms:.1f} ms"
    top = y - BAR_HEIGHT + 4
    colour = COLOURS.get(name, "#999")
    return [
        f'<text x="10" y="{y}">{escape(name)}</text>',
        f'<rect x="{LABEL_WIDTH}" y="{top}" width="{length:.0f}" height="{BAR_HEIGHT}" fill="{colour}"/>',
        f'<text x="{LABEL_WIDTH + length + 8:.0f}" y="{y}">{figures}</text>',
    ]
