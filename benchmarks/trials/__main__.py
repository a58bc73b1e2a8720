"""Runs the trials, writes the table. `python -m benchmarks.trials [--only N ...] [--quick] [--no-write]`"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.machine import describe_machine

from . import (
    autoscaling,
    broken_releases,
    canaries,
    clean_clone,
    descriptor_exhaustion,
    dispatcher_deaths,
    distribution,
    fork_servers,
    http_memory,
    idle_clients,
    leaks,
    log_disks,
    log_storm,
    memory_limits,
    node_faults,
    node_traffic,
    reloads,
    soak,
    updates,
    worker_faults,
)
from .finding import Finding, Scale, Trial

TRIALS: dict[int, Trial] = {
    1: clean_clone.run,
    2: distribution.run,
    3: reloads.run,
    4: broken_releases.run,
    5: worker_faults.run,
    6: dispatcher_deaths.run,
    7: descriptor_exhaustion.run,
    8: leaks.run,
    9: idle_clients.run,
    10: node_traffic.frameworks,
    11: node_traffic.rotation,
    12: node_traffic.blocked_worker,
    13: node_faults.killed_workers,
    14: node_faults.reloads,
    15: node_faults.dispatcher_deaths,
    16: broken_releases.run_node,
    17: soak.run,
    18: log_storm.run,
    19: log_disks.full,
    20: log_disks.hung,
    21: memory_limits.run,
    22: fork_servers.run,
    23: updates.run,
    24: autoscaling.run,
    25: canaries.run,
    26: http_memory.run,
}
RESULTS = Path(__file__).resolve().parents[1] / "results"


def run_trial(number: int, scale: Scale) -> list[Finding]:
    """Run one trial; what breaks it is a finding too."""
    findings = []
    try:
        for finding in TRIALS[number](scale):
            findings.append(finding)
            print(
                f"{number} {'ok  ' if finding.ok else 'FAIL'} {finding.promise}: {finding.measured}",
                flush=True,
            )
    except (AssertionError, OSError, subprocess.SubprocessError, LookupError, ValueError) as error:
        print(f"{number} FAIL broken off: {error!r}", flush=True)
        last_line = str(error).strip().partition("\n")[0][:200]
        findings.append(Finding("the trial runs to its end", f"{type(error).__name__}: {last_line}", False))
    return findings


def render(findings: dict[int, list[Finding]], command: str) -> str:
    """Return the table as Markdown, with the machine in front."""
    lines = [
        "# Trials",
        "",
        *describe_machine(command),
        "",
        "| trial | promise | measured | ok |",
        "|---|---|---|---|",
    ]
    for number, rows in findings.items():
        lines += [f"| {number} | {row.promise} | {row.measured} | {'yes' if row.ok else '**no**'} |" for row in rows]
    return "\n".join([*lines, ""]).replace("\u2028", " ")


def main() -> int:
    """Run what was asked for; exit 1 when a promise was not kept."""
    parser = argparse.ArgumentParser(description="Try every promise at full size.")
    parser.add_argument("--only", type=int, nargs="+", choices=TRIALS, help="numbers of trials; default: all but 1")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    findings = {}
    for number in options.only or [number for number in TRIALS if number > 1]:
        began = time.monotonic()
        findings[number] = run_trial(number, Scale(options.quick))
        print(f"{number}      {time.monotonic() - began:.0f} s", flush=True)
    table = render(findings, f"python -m benchmarks.trials {' '.join(sys.argv[1:])}".strip())
    if not options.no_write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "trials.md").write_text(table)
    print(table)
    return 0 if all(row.ok for rows in findings.values() for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
