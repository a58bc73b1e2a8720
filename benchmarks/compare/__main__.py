"""Runs the comparison and writes it: `python -m benchmarks.compare [--only KEY ...] [--servers NAME ...]`"""

import argparse
import sys
from collections.abc import Collection
from pathlib import Path

import msgspec

from benchmarks.machine import describe_machine

from .latency_picture import Counts, draw_latencies
from .measuring import latency_counts, measure_footprint, measure_row, outcome_of
from .report import draw, render_footprint, render_row
from .rows import ROWS, Outcome, Row
from .servers import OURS, SERVERS

RESULTS = Path(__file__).resolve().parents[1] / "results"


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description="fastlb beside other servers, in one run.")
    parser.add_argument("--only", nargs="+", choices=[row.key for row in ROWS], help="rows; default: all")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, help="those among a row's servers; default: all")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each server; medians are shown")
    parser.add_argument("--seconds", type=int, default=3, help="length of a run")
    parser.add_argument("--output", default="compare", help="name of the files in benchmarks/results")
    return parser.parse_args()


def main() -> int:
    """Measure, write Markdown, JSON and SVG."""
    options = parse_arguments()
    command = f"python -m benchmarks.compare {' '.join(sys.argv[1:])}".strip()
    lines = ["# fastlb beside other servers", "", *describe_machine(command), ""]
    lines += [
        f"Medians of {options.pairs} runs of {options.seconds:g} s, all servers in one run, in turn.",
        "",
    ]
    measured: list[tuple[Row, Outcome]] = []
    latencies: list[tuple[Row, Counts]] = []
    everything = {}
    for row in chosen_rows(options.only, options.servers or SERVERS):
        samples = measure_row(row, options.pairs, options.seconds)
        outcome = outcome_of(samples)
        lines += render_row(row, outcome)
        measured.append((row, outcome))
        latencies += [(row, counts)] if (counts := latency_counts(samples)) else []
        everything[row.key] = {"samples": samples, "medians": outcome.medians, "ratios": outcome.ratios}
    footprint = measure_footprint() if OURS in (options.servers or SERVERS) else None
    lines += render_footprint(footprint) if footprint else []
    everything_json = {"machine": describe_machine(command), "rows": everything, "footprint": footprint}
    write(
        options.output,
        "\n".join(lines),
        msgspec.json.format(msgspec.json.encode(everything_json)),
        draw(measured),
    )
    if latencies:
        (RESULTS / f"{options.output}-latency.svg").write_text(draw_latencies(latencies))
    return 0


def chosen_rows(keys: Collection[str] | None, servers: Collection[str]) -> list[Row]:
    """Return the rows that were asked for (None: all), with those of their servers that were."""
    rows = [row for row in ROWS if keys is None or row.key in keys]
    asked = [tuple(name for name in row.servers if name in servers) for row in rows]
    return [msgspec.structs.replace(row, servers=names) for row, names in zip(rows, asked, strict=True) if names]


def write(name: str, markdown: str, as_json: bytes, picture: str) -> None:
    """Write the three files and show the Markdown."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(f"{markdown}\n![throughput]({name}.svg)\n")
    (RESULTS / f"{name}.json").write_bytes(as_json + b"\n")
    (RESULTS / f"{name}.svg").write_text(picture)
    print(markdown)


if __name__ == "__main__":
    sys.exit(main())
