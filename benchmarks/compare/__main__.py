"""Runs the comparison and writes it: `python -m benchmarks.compare [--only KEY ...] [--pairs N]`"""

import argparse
import sys
from pathlib import Path

import msgspec

from benchmarks.machine import describe_machine

from .measuring import measure_footprint, measure_row, medians, ratio
from .report import draw, render_footprint, render_row
from .rows import ROWS, Medians, Row

RESULTS = Path(__file__).resolve().parents[1] / "results"


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description="fastlb beside other servers, in one run.")
    parser.add_argument("--only", nargs="+", choices=[row.key for row in ROWS], help="rows; default: all")
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
    measured: list[tuple[Row, dict[str, Medians]]] = []
    everything = {}
    for row in [row for row in ROWS if row.key in (options.only or [row.key])]:
        samples = measure_row(row, options.pairs, options.seconds)
        results = {name: medians(found) for name, found in samples.items()}
        ratios = (
            {name: ratio(samples, "fastlb", name) for name in samples if name != "fastlb"}
            if "fastlb" in samples
            else {}
        )
        lines += render_row(row, results, ratios)
        measured.append((row, results))
        everything[row.key] = {"samples": samples, "medians": results, "ratios": ratios}
    footprint = measure_footprint()
    lines += render_footprint(footprint)
    everything_json = {"machine": describe_machine(command), "rows": everything, "footprint": footprint}
    write(
        options.output,
        "\n".join(lines),
        msgspec.json.format(msgspec.json.encode(everything_json)),
        draw(measured),
    )
    return 0


def write(name: str, markdown: str, as_json: bytes, picture: str) -> None:
    """Write the three files and show the Markdown."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(f"{markdown}\n![throughput]({name}.svg)\n")
    (RESULTS / f"{name}.json").write_bytes(as_json + b"\n")
    (RESULTS / f"{name}.svg").write_text(picture)
    print(markdown)


if __name__ == "__main__":
    sys.exit(main())
