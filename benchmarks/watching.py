"""What a save costs: from the save to the first answer of the new code; and what watching costs while nothing is saved.

`python -m benchmarks.watching`. `fastlb run --reload` with an ASGI app and with a Node app, uvicorn --reload beside it;
then an app of 8 workers with a schedule and watched files, idle.
"""

import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.machine import describe_machine
from tests.support import processes
from tests.support.client import get
from tests.support.fastlb_process import COMMAND, Fastlb, find_dispatcher
from tests.support.ports import free_port
from tests.support.waiting import wait_until

SAVES = 20
IDLE_SECONDS = 30.0
WORKERS = 8
BUDGET_SECONDS = 1.0
BUDGET_PERCENT = 0.5
RESULT = Path(__file__).parent / "results" / "watching.md"
ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"VERSION"})
"""
NODE = 'require("http").createServer((_, response) => response.end("VERSION")).listen(PORT)\n'
Argv = Callable[[int], Sequence[str]]
ALL_ON = ("--watch", "--cron-restart", "0 3 * * *")


class Server(msgspec.Struct, frozen=True):
    """Who starts the app anew: its name, the file with the code, its command for a port."""

    name: str
    file: str
    code: str
    argv: Argv


SERVERS = (
    Server("fastlb run --reload", "shop.py", ASGI, lambda port: (
        str(COMMAND), "run", "--reload", "shop:app", "-b", f"127.0.0.1:{port}"
    )),
    Server("uvicorn --reload", "shop.py", ASGI, lambda port: (
        str(COMMAND.parent / "uvicorn"), "--reload", "shop:app", "--port", str(port)
    )),
    Server("fastlb run --reload, Node", "shop.js", NODE, lambda port: (
        str(COMMAND), "run", "--reload", "shop.js", "-b", f"127.0.0.1:{port}"
    )),
)  # fmt: skip


def seconds_of_saves(server: Server, fastlb: Fastlb) -> list[float]:
    """Return for each save how long it took until the new code answered a client that asks again and again."""
    with tempfile.TemporaryDirectory() as name:
        directory, port = Path(name), free_port()

        def save(version: int) -> None:
            text = server.code.replace("VERSION", f"version {version}").replace("PORT", str(port))
            (directory / server.file).write_text(text)

        save(0)
        with _running(server.argv(port), directory, fastlb):
            _wait_for(port, 0)
            found = []
            for version in range(1, SAVES + 1):
                time.sleep(0.5)  # nobody saves at once again
                saved_at = time.monotonic()
                save(version)
                _wait_for(port, version)
                found.append(time.monotonic() - saved_at)
            return found


@contextmanager
def _running(argv: Sequence[str], directory: Path, fastlb: Fastlb) -> Iterator[None]:
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen(argv, cwd=directory, env=fastlb.env, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _wait_for(port: int, version: int) -> None:
    def answers() -> bool:
        try:
            return get(("127.0.0.1", port), timeout=20).body == f"version {version}".encode()
        except (OSError, ValueError, AssertionError):
            return False  # some refuse their clients meanwhile

    wait_until(answers, f"version {version} answers", timeout=60)


def idle_percent(fastlb: Fastlb, directory: Path, *options: str) -> tuple[float, float]:
    """Return percent of a core, of the supervisor and of the dispatcher, of an app that nobody asks anything."""
    (directory / "shop.py").write_text(ASGI)
    command = ("start", "shop:app", "-n", "idle", "-w", str(WORKERS), "-b", "127.0.0.1:0", "--settle", "0")
    result = fastlb.cli(*command, *options, cwd=directory)
    assert result.returncode == 0, result.stderr
    supervisor = fastlb.app("idle").supervisor_pid
    pids = (supervisor, find_dispatcher(supervisor))
    time.sleep(3.0)  # what it still does after the start
    before = [processes.cpu_nanoseconds(pid) for pid in pids]
    time.sleep(IDLE_SECONDS)
    used = [processes.cpu_nanoseconds(pid) - then for pid, then in zip(pids, before, strict=True)]
    fastlb.ok("delete", "idle")
    return used[0] / IDLE_SECONDS / 1e7, used[1] / IDLE_SECONDS / 1e7


def main() -> int:
    """Measure, write results/watching.md, return 0 if all is within its budget."""
    saves, is_kept = [], True
    with Fastlb() as fastlb, tempfile.TemporaryDirectory() as name:
        for server in SERVERS:
            if server.code is NODE and not shutil.which("node"):
                continue
            found = seconds_of_saves(server, fastlb)
            median = statistics.median(found)
            saves.append(f"| {server.name} | {median:.2f} s | {min(found):.2f} s | {max(found):.2f} s |")
            is_kept = is_kept and (median < BUDGET_SECONDS or not server.name.startswith("fastlb"))
        idle = {
            words: idle_percent(fastlb, Path(name), *options)
            for words, options in {"nothing asked for": (), " ".join(ALL_ON): ALL_ON}.items()
        }
    percents = [f"| {words} | {of[0]:.3f} % | {of[1]:.3f} % |" for words, of in idle.items()]
    is_kept = is_kept and all(sum(of) < BUDGET_PERCENT for of in idle.values())
    text = "\n".join(
        [
            *("# Watching files", "", *describe_machine("python -m benchmarks.watching"), ""),
            f"From a save to the first answer of the new code, {SAVES} saves (budget: median {BUDGET_SECONDS:g} s):",
            *("", "| | median | best | worst |", "|---|---|---|---|", *saves, ""),
            f"Idle for {IDLE_SECONDS:g} s, {WORKERS} workers, percent of a core (budget: {BUDGET_PERCENT:g} %):",
            *("", "| | supervisor | dispatcher |", "|---|---|---|", *percents, ""),
        ]
    )
    RESULT.write_text(text)
    print(text)
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
