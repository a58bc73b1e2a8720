"""Measures the guide's tables: fork mode behind an nginx upstream beside cluster mode, and draws them.

    python -m benchmarks.guide_tables [--seconds N] [--pairs N] [--output NAME]

The app is the guide's model, a Node app that serves one request of 8.33 ms at a time. In fork mode each process has a
port of its own, and nginx takes them in turn; in cluster mode there is one port and nobody in front. All set-ups of
a round are measured one after the other, each alone, so that their processes do not share the memory that is shown.
"""

import argparse
import contextlib
import shutil
import socket
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from html import escape
from pathlib import Path

import msgspec

from tests.support import processes
from tests.support.fastlb_process import Fastlb
from tests.support.node_packages import node_binary
from tests.support.ports import free_port

from .compare.loads import new_connections
from .compare.measuring import Sample, take_sample
from .compare.node_servers import app_environment
from .compare.running import APPS, RunningServer, Service, start_process, wait_for_answer
from .compare.servers import start_fastlb
from .machine import describe_machine

RESULTS = Path(__file__).resolve().parent / "results"
CLIENTS = 20
SCRIPT = "node_model.js"
FORKED = (1, 2, 4, 8)
CLUSTERED = (2, 4, 8, 12)
WIDTH, BAR_WIDTH, BAR_HEIGHT, LABEL_WIDTH = 760, 420, 12, 170
COLOURS = {"fork": "#8aa5c4", "cluster": "#2f6f4f"}
NGINX = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream app {{ {servers} keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
        }}
    }}
}}
"""


class Setup(msgspec.Struct, frozen=True):
    """One line of the tables: a mode and a number of workers."""

    mode: str
    workers: int

    @property
    def title(self) -> str:
        """What the line is called."""
        return f"{self.mode}, {self.workers} {'worker' if self.workers == 1 else 'workers'}"


class Line(msgspec.Struct, frozen=True):
    """What was measured of a set-up: medians of the rounds; `failed`: of all `requests` together.

    Attributes:
        memory_mib: PSS of all its processes, with supervisor, dispatcher and nginx, after the load.
        cpu_us: of all its processes, a request.
    """

    setup: Setup
    per_second: float
    p99_ms: float
    memory_mib: float
    cpu_us: float
    requests: int
    failed: int

    @property
    def mean_ms(self) -> float:
        """Mean time of a request: clients that ask one request after the other, by what is answered in a second."""
        return CLIENTS * 1000 / self.per_second

    @property
    def success(self) -> float:
        """Which part of the requests was answered."""
        return 1 - self.failed / self.requests


def start_fork(setup: Setup) -> RunningServer:
    """Start the app in fork mode, on ports in a row, with nginx in front of them."""
    front, first = free_port(), ports_in_a_row(setup.workers)
    with ExitStack() as if_failed:
        installation = Fastlb()
        if_failed.callback(installation.close)
        ports = ("--increment-var", "PORT", "--env", f"PORT={first}", "--env", "HOST=127.0.0.1")
        installation.ok(
            "start", str(APPS / SCRIPT), "--fork", "--name", "app", "-w", str(setup.workers), *ports, "--settle", "0.1"
        )
        folder = Path(tempfile.mkdtemp(prefix="fastlb-nginx-"))
        if_failed.callback(shutil.rmtree, folder)
        servers = " ".join(f"server 127.0.0.1:{first + number};" for number in range(setup.workers))
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, servers=servers, port=front))
        command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        nginx = wait_for_answer(start_process(command, app_environment(front)), front)
        if_failed.callback(nginx.stop)
        stop = if_failed.pop_all().close
    return RunningServer(nginx.address, stop, lambda: [*installation.pids, *nginx.pids()])


def ports_in_a_row(count: int) -> int:
    """Return the first of so many free ports in a row."""
    while True:
        first = free_port()
        if all(can_be_bound(first + number) for number in range(count)):
            return first


def can_be_bound(port: int) -> bool:
    """Say whether a port of 127.0.0.1 is free."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def start_cluster(setup: Setup) -> RunningServer:
    """Start the app in cluster mode."""
    return start_fastlb(Service(app=SCRIPT, interface="node", workers=setup.workers))


STARTS: dict[str, Callable[[Setup], RunningServer]] = {"fork": start_fork, "cluster": start_cluster}


def setups() -> list[Setup]:
    """Return the lines of the tables, those of fork mode only where there is an nginx."""
    forked = [Setup("fork", count) for count in FORKED]
    if not shutil.which("nginx"):
        print("no nginx: nothing of fork mode is measured, which needs it in front", flush=True)
        forked = []
    return [*forked, *(Setup("cluster", count) for count in CLUSTERED)]


def measure(setup: Setup, seconds: float) -> tuple[Sample, float]:
    """Start a set-up alone, load it, and stop it; return the sample and the memory of its processes in MiB."""
    server = STARTS[setup.mode](setup)
    try:
        new_connections(CLIENTS, 1)(server.address)
        sample = take_sample(server, new_connections(CLIENTS, seconds))
        memory_mib = sum(processes.pss_bytes(pid) for pid in server.pids()) / 2**20
    finally:
        server.stop()
    print(f"{setup.title}: {sample.measured.per_second:,.0f}/s, {memory_mib:.0f} MiB", flush=True)
    return sample, memory_mib


def line_of(setup: Setup, found: Sequence[tuple[Sample, float]]) -> Line:
    """Return the medians of a set-up's rounds."""
    samples = [sample for sample, _ in found]
    return Line(
        setup=setup,
        per_second=statistics.median(sample.measured.per_second for sample in samples),
        p99_ms=statistics.median(sample.measured.p99_ms for sample in samples),
        memory_mib=statistics.median(memory_mib for _, memory_mib in found),
        cpu_us=statistics.median(sample.cpu_us for sample in samples),
        requests=sum(sample.measured.requests for sample in samples),
        failed=sum(sample.measured.failed for sample in samples),
    )


def table(lines: Sequence[Line]) -> list[str]:
    """Return the table in Markdown."""
    head = "| set-up | requests/s | mean ms | p99 ms | memory MiB | CPU us a request | success |"
    return [head, "|---|---:|---:|---:|---:|---:|---:|", *(cells(line) for line in lines), ""]


def cells(line: Line) -> str:
    """Return a line of the table."""
    return (
        f"| {line.setup.title} | {line.per_second:,.0f} | {line.mean_ms:.1f} | {line.p99_ms:.1f} |"
        f" {line.memory_mib:.0f} | {line.cpu_us:.0f} | {line.success:.2%} |"
    )


def draw(lines: Sequence[Line]) -> str:
    """Return the picture: requests a second of each set-up, with its memory beside."""
    fastest = max(line.per_second for line in lines)
    parts: list[str] = []
    y = 10
    for line in lines:
        y += BAR_HEIGHT + 8
        parts += bar(y, line, fastest)
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 14}" width="{WIDTH}"'
    style = 'font-family="sans-serif" font-size="12" role="img" aria-label="requests a second of each set-up"'
    return "\n".join([f"{opening} {style}>", '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])


def bar(y: int, line: Line, fastest: float) -> list[str]:
    """Return label, bar and figures of a set-up."""
    length = BAR_WIDTH * line.per_second / fastest
    behind = " behind nginx" if line.setup.mode == "fork" else ""
    size = f'width="{length:.0f}" height="{BAR_HEIGHT}" fill="{COLOURS[line.setup.mode]}"'
    return [
        f'<text x="10" y="{y}">{escape(line.setup.mode)} {line.setup.workers}{behind}</text>',
        f'<rect x="{LABEL_WIDTH}" y="{y - BAR_HEIGHT + 2}" {size}/>',
        f'<text x="{LABEL_WIDTH + length + 8:.0f}" y="{y}">{line.per_second:,.0f}/s, {line.memory_mib:.0f} MiB</text>',
    ]


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description="The guide's tables: fork mode behind nginx, and cluster mode.")
    parser.add_argument("--pairs", type=int, default=5, help="rounds; medians are shown")
    parser.add_argument("--seconds", type=float, default=3, help="length of a run")
    parser.add_argument("--output", default="guide", help="name of the files in benchmarks/results")
    return parser.parse_args()


def main() -> int:
    """Measure, write Markdown, JSON and SVG."""
    options = parse_arguments()
    if not node_binary():
        print("no node: the app of the guide is Node's", file=sys.stderr)
        return 1
    found: dict[Setup, list[tuple[Sample, float]]] = {setup: [] for setup in setups()}
    for _ in range(options.pairs):
        for setup, samples in found.items():
            samples.append(measure(setup, options.seconds))
    lines = [line_of(setup, samples) for setup, samples in found.items()]
    machine = describe_machine(f"python -m benchmarks.guide_tables {' '.join(sys.argv[1:])}".strip())
    write(options, machine, lines)
    return 0


def write(options: argparse.Namespace, machine: list[str], lines: Sequence[Line]) -> None:
    """Write the three files and show the Markdown."""
    load = f"One request of 8.33 ms at a time in each worker, {CLIENTS} clients, a connection each request"
    how = f"medians of {options.pairs} runs of {options.seconds:g} s, each set-up alone."
    markdown = ["# Fork mode behind nginx, and cluster mode", "", *machine, "", f"{load}; {how}", "", *table(lines)]
    text = "\n".join([*markdown, f"![requests a second]({options.output}.svg)", ""])
    (RESULTS / f"{options.output}.md").write_text(text)
    (RESULTS / f"{options.output}.svg").write_text(draw(lines))
    as_json = msgspec.json.format(msgspec.json.encode({"machine": machine, "lines": lines}))
    (RESULTS / f"{options.output}.json").write_bytes(as_json + b"\n")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
