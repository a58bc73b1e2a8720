"""Owns how results look: a Markdown table, and bars as SVG, written by hand: nothing to install."""

from html import escape

from .measuring import Footprint
from .rows import Medians, Row

BAR_WIDTH, BAR_HEIGHT, LABEL_WIDTH = 420, 16, 90
COLOURS = {"fastlb": "#2f6f4f", "uvicorn": "#8aa5c4", "granian": "#c4a58a", "gunicorn": "#b0b0b0"}
LARGEST_PSS_MIB = 35.0
LONGEST_LIST_SECONDS = 0.12


def render_row(row: Row, results: dict[str, Medians], ratios: dict[str, float]) -> list[str]:
    """Return the table of one row."""
    lines = [
        f"## {row.title}",
        "",
        "| server | requests/s | fastlb is | CPU us/request | p50 ms | p99 ms | failed |",
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for name, median in results.items():
        times = f"{ratios[name]:.2f} x" if name in ratios else ""
        lines.append(
            f"| {name} | {median.per_second:,.0f} | {times} | {median.cpu_us:.1f} | "
            f"{median.p50_ms:.2f} | {median.p99_ms:.2f} | {median.failed} |"
        )
    return [*lines, "", *verdict(row, results, ratios), ""]


def verdict(row: Row, results: dict[str, Medians], ratios: dict[str, float]) -> list[str]:
    """Return the budget and whether it was kept."""
    ours = results.get("fastlb")
    ratio = ratios.get(row.servers[1])
    if ours is None or ratio is None:
        return [f"Budget: {row.budget}. Not judged: a server is missing."]
    kept = "kept" if row.is_kept(ours, ratio) else "**missed**"
    balancer = f"Supervisor and dispatcher together: {ours.balancer_us:.2f} us CPU per request."
    return [f"Budget: {row.budget}: {kept}. {balancer}"]


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


def draw(rows: list[tuple[Row, dict[str, Medians]]]) -> str:
    """Return the picture: for each row bars of throughput, with CPU per request beside."""
    parts: list[str] = []
    y = 10
    for row, results in rows:
        y += 22
        parts.append(f'<text x="10" y="{y}" font-weight="bold">{escape(row.title)}</text>')
        fastest = max((median.per_second for median in results.values()), default=1.0)
        for name, median in results.items():
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
