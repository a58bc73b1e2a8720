"""Owns docs/autoscaling.svg: what autoscaling decides for demands of several shapes, in the simulation of its tests.

    python -m benchmarks.scaling_picture

Nothing is measured here: the decisions are those of supervisor/autoscaling/judge.py, with a clock passed in.
"""

import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

from tests.support.scaling_simulation import Demand, Simulation, herd, noise, ramp, step_at, wave

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "autoscaling.svg"
WIDTH, PANEL_WIDTH, PANEL_HEIGHT, PITCH, LEFT = 760, 700, 90, 135, 40
POINTS = 700
# What is drawn of the herd's demand, which is far above.
MOST_WORKERS = 17
PANELS: tuple[tuple[str, Demand, float], ...] = (
    ("step: from 0.2 to 4 cores and back", lambda now: step_at(60, 20, 400)(now) - 380 * (now >= 600), 900),
    ("ramp: to 5 cores and back", ramp(500, 1200), 2600),
    ("noise: 1.5 cores, with a deviation of a quarter", noise(150, 37), 1800),
    ("wave: 2.5 cores up and down by 2, every half an hour", wave(250, 200, 1800), 5400),
    ("herd: far more than all workers can do, for five minutes", herd(100, 400), 900),
)


def draw() -> str:
    """Return the picture: in each panel the demand, and the workers that there are."""
    height = PITCH * len(PANELS) + 20
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
    style = 'font-family="sans-serif" font-size="12" role="img" aria-label="workers that follow a demand"'
    panels = [line for at, (title, demand, seconds) in enumerate(PANELS) for line in panel(at, title, demand, seconds)]
    return "\n".join([f"{opening} {style}>", '<rect width="100%" height="100%" fill="white"/>', *panels, "</svg>", ""])


def panel(at: int, title: str, demand: Demand, seconds: float) -> Iterator[str]:
    """Yield one panel: its title and axes, the demand in grey, the workers in blue."""
    simulation = Simulation(demand).run(seconds)
    times = [seconds * number / POINTS for number in range(POINTS + 1)]
    needed = [min(max(demand(now), 0) / 100, MOST_WORKERS) for now in times]
    workers = [workers_at(simulation, now) for now in times]
    highest = max(*needed, *workers)
    bottom = at * PITCH + 30 + PANEL_HEIGHT
    yield f'<text x="{LEFT}" y="{at * PITCH + 20}" font-weight="bold">{escape(title)}</text>'
    yield f'<path d="M{LEFT} {bottom - PANEL_HEIGHT}V{bottom}H{LEFT + PANEL_WIDTH}" fill="none" stroke="#999"/>'
    yield f'<text x="{LEFT - 6}" y="{bottom - PANEL_HEIGHT + 10}" text-anchor="end">{highest:.0f}</text>'
    yield f'<text x="{LEFT - 6}" y="{bottom}" text-anchor="end">0</text>'
    ending = f'<text x="{LEFT + PANEL_WIDTH}" y="{bottom + 13}" text-anchor="end">'
    yield f"{ending}{seconds / 60:g} minutes, {len(simulation.steps)} steps</text>"
    yield line(needed, highest, bottom, "#bbb")
    yield line([float(count) for count in workers], highest, bottom, "#1668b8")


def workers_at(simulation: Simulation, now: float) -> int:
    """Return how many workers there were at a time."""
    counts = [found.workers for at, _, found in simulation.steps if at <= now]
    return counts[-1] if counts else 1


def line(values: list[float], highest: float, bottom: float, colour: str) -> str:
    """Return the line through values that are as far apart as the points."""
    places = [
        f"{LEFT + PANEL_WIDTH * number / POINTS:.0f},{bottom - PANEL_HEIGHT * value / highest:.1f}"
        for number, value in enumerate(values)
    ]
    return f'<polyline points="{" ".join(places)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def main() -> int:
    """Write the picture."""
    PICTURE.write_text(draw())
    return 0


if __name__ == "__main__":
    sys.exit(main())
