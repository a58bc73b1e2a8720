"""Whatever makes a worker go, it is told to end in the same way: by kill_signal, or by the message."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.client import Connection
from tests.support.fastlb_process import App, Fastlb
from tests.support.node_driver import start_node
from tests.support.programs import start_program, write_program
from tests.support.waiting import scaled, wait_until

SETTINGS = ("--kill-signal", "SIGINT", "--settle", "0.1")
BY_SIGNAL, BY_MESSAGE = "got SIGINT", "got shutdown"
TRAPS = ("trap 'echo got SIGINT; exit' INT", "trap 'echo got SIGTERM; exit' TERM", "echo begun")
WAITS = "while :; do read -t 0.05 line; done"
HEARS = "read -u $NODE_CHANNEL_FD word; echo got ${word//\\\"/}"
NODE = """
const say = (name) => { console.log('got', name); process.exit(0) }
for (const name of ['SIGTERM', 'SIGINT']) process.on(name, () => say(name))
if (process.argv[2]) process.on('message', word => { if (word === 'shutdown') say(word) })
const server = require('http').createServer((request, response) => response.end('x'))
server.listen(process.env.PORT, () => console.log('begun'))
"""


def start(fastlb: Fastlb, directory: Path, kind: str, *, by_message: bool) -> App:
    """Start two workers that say how they are told to end; return when they would hear it."""
    message = ("--shutdown-with-message",) if by_message else ()
    if kind == "python":
        # Its workers end by draining: only one that cannot finish is signalled.
        return fastlb.start("notes_signals:app", "--workers", "2", "--kill-timeout", "0.3", *SETTINGS)
    if kind == "node":
        (directory / "app.js").write_text(NODE)
        words = ("--", "hears") if by_message else ()
        app = start_node(fastlb, directory / "app.js", *SETTINGS, *message, *words)
    else:
        write_program(directory / "worker.sh", *TRAPS, HEARS if by_message else WAITS)
        app = start_program(fastlb, directory, "worker.sh", "-w", "2", *SETTINGS, *message)
    return app


@contextmanager
def busy(app: App, kind: str) -> Iterator[None]:
    """Give each worker of a Python app a request that never ends; programs and Node apps hear without."""
    with ExitStack() as clients:
        workers = len(app.worker_pids) if kind == "python" else 0
        for _ in range(workers):
            clients.enter_context(Connection(app.address)).send("/forever")
        # A client that is gone looks like one that sends no more: what it has asked for goes on.
        wait_until(lambda: not workers or 0 not in connections(app), "each has a request")
        yield


def connections(app: App) -> list[int]:
    """Return how many connections each worker has that is to stay."""
    return [worker["connections"] for worker in app.entry()["workers"] if worker["status"] == "online"]


@pytest.mark.parametrize(
    ("kind", "by_message"), [("python", False), ("node", False), ("node", True), ("fork", False), ("fork", True)]
)
def test_every_way_to_stop_tells_it_alike(fastlb: Fastlb, tmp_path: Path, kind: str, by_message: bool) -> None:
    app = start(fastlb, tmp_path, kind, by_message=by_message)
    begun, ended, said = 2, 0, BY_MESSAGE if by_message else BY_SIGNAL
    number = str(fastlb.list_json()[0]["workers"][0]["pm_id"])
    all_of_them = [("restart", number, 1, 1), ("reload", "app", 2, 2), ("restart", "app", 2, 2)]
    for command, target, end, begin in [*all_of_them, ("scale 1", "app", 1, 0), ("stop", "app", 1, 0)]:
        if kind != "python":
            wait_until(lambda: app.log("out").count("begun") == begun, "all hear")  # noqa: B023
        with busy(app, kind):
            word, *rest = command.split()
            fastlb.ok(word, target, *rest)
            ended, begun = ended + end, begun + begin
            wait_until(lambda: app.log("out").count(said) == ended, f"{command}: {ended} were told")  # noqa: B023
    assert app.log("out").count("got ") == ended, "and by nothing else"
    assert "SIGKILL" not in app.log("supervisor")


def test_interrupt_in_the_foreground_is_another_way(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", *TRAPS, WAITS)
    running = fastlb.popen("run", "worker.sh", "--no-prefix", "--kill-signal", "SIGINT", cwd=tmp_path)
    assert running.stdout is not None
    assert running.stdout.readline() == "begun\n"
    os.kill(running.pid, signal.SIGTERM)
    output, _ = running.communicate(timeout=scaled(20))
    assert output == "got SIGINT\n"


@pytest.mark.parametrize("options", [(), ("--treekill",)])
def test_children_are_told_only_with_treekill(fastlb: Fastlb, tmp_path: Path, options: tuple[str, ...]) -> None:
    child = f"bash -c 'trap \"echo child told; exit\" TERM; echo begun; {WAITS}' < /dev/zero &"
    write_program(tmp_path / "worker.sh", child, "trap 'wait; echo parent told; exit' TERM", "echo begun", WAITS)
    app = start_program(fastlb, tmp_path, "worker.sh", "--kill-timeout", "30" if options else "1", *options)
    wait_until(lambda: app.log("out").count("begun") == 2, "both hear")
    app.ok("stop")
    told = [line for line in app.log("out").splitlines() if "told" in line]
    assert told == (["child told", "parent told"] if options else [])
    assert ("worker_killed" in app.log("supervisor")) is not bool(options), "it waits for its child in vain"
