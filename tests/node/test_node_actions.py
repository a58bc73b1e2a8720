"""`fastlb trigger` with Node workers: actions of apps in PM2's format, dumps and profiles, workers that are blocked."""

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

from tests.support.client import get, kept_busy
from tests.support.fastlb_process import App, CliResult, Fastlb
from tests.support.node_driver import start_node
from tests.support.waiting import scaled, wait_until


def trigger(fastlb: Fastlb, *words: str) -> CliResult:
    return fastlb.cli("trigger", "app", *words)


def answers(fastlb: Fastlb, *words: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(trigger(fastlb, *words, "--json").stdout)
    return told


def file_of(fastlb: Fastlb, *words: str) -> Path:
    """Return the file that an action of worker 0 has written, after a look at where and how it lies."""
    (answer,) = answers(fastlb, *words, "--worker", "0")
    assert answer["ok"], answer["text"]
    path = Path(answer["file"])
    assert path.parent == fastlb.home / "logs"
    assert path.name.startswith("app-action-0-")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path


def wait_offered(fastlb: Fastlb, workers: int) -> None:
    """An app says what it offers by a message, which may come after it serves."""
    wait_until(lambda: trigger(fastlb).stdout.count(" hello") == workers, "all have said what they offer")


def has_offered(app: App, fastlb: Fastlb, workers: int) -> App:
    wait_offered(fastlb, workers)
    return app


def test_app_does_what_it_offers_in_the_format_of_pm2(fastlb: Fastlb) -> None:
    app = has_offered(start_node(fastlb, "acts.js"), fastlb, 2)
    said = answers(fastlb, "hello")
    assert [json.loads(one["text"])["pid"] for one in said] == app.worker_pids
    assert trigger(fastlb, "echo", "books", "--worker", "1").stdout == "app: worker 1: got books\n"
    unknown = trigger(fastlb, "helo")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "there is no action 'helo'; did you mean hello?" in unknown.stderr
    silent = trigger(fastlb, "silent", "--timeout", "0.2")
    assert silent.returncode == 1
    assert "has not answered within 0.2 s" in silent.stderr


def test_app_with_the_library_of_pm2_works_as_it_is(fastlb: Fastlb, framework_apps: Path) -> None:
    app = has_offered(start_node(fastlb, framework_apps / "pm2_io.js"), fastlb, 2)
    assert [json.loads(one["text"])["pid"] for one in answers(fastlb, "hello")] == app.worker_pids
    assert trigger(fastlb, "echo", "books", "--worker", "0").stdout == "app: worker 0: got books\n"
    dump = file_of(fastlb, "heapdump")
    loaded = fastlb.run_program("node", str(framework_apps / "loads_heap_dump.mjs"), str(dump))
    assert json.loads(loaded.stdout)["total"] > 1_000_000, loaded.stderr


def test_heap_dump_is_one_and_holds_what_the_app_has_made(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "acts.js", workers=1)
    for name in ("heapdump", "generateHeapDump"):
        dump = json.loads(file_of(fastlb, name).read_bytes())
        meta, nodes = dump["snapshot"]["meta"], dump["nodes"]
        width = len(meta["node_fields"])
        assert len(nodes) == dump["snapshot"]["node_count"] * width
        assert len(dump["edges"]) == dump["snapshot"]["edge_count"] * len(meta["edge_fields"])
        name_at, type_at = meta["node_fields"].index("name"), meta["node_fields"].index("type")
        an_object = meta["node_types"][type_at].index("object")
        names = [
            dump["strings"][nodes[at + name_at]]
            for at in range(0, len(nodes), width)
            if nodes[at + type_at] == an_object
        ]
        assert names.count("ThingInTheHeap") >= 123
    assert app.get().status == 200
    assert "Debugger" not in app.log("error"), "no port was opened"


def test_profile_names_the_function_that_was_hot(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "acts.js", workers=1)
    refused = trigger(fastlb, "cpuprofile", "0.5")
    assert refused.returncode == 1
    assert "'0.5' must be seconds, from 1 to 300" in refused.stderr
    with kept_busy(app.address):
        profile = json.loads(file_of(fastlb, "cpuprofile", "1").read_bytes())
    assert "burnCycles" in {node["callFrame"]["functionName"] for node in profile["nodes"]}
    assert len(list((fastlb.home / "logs").glob("app-action-*"))) == 1, "nothing is left of what was refused"


def test_blocked_worker_says_so_and_delays_nobody(fastlb: Fastlb, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    app = has_offered(start_node(fastlb, "acts.js", "--env", f"FIFO={fifo}"), fastlb, 2)
    asking = threading.Thread(target=get, args=(app.address, "/block", scaled(60)))
    asking.start()
    with fifo.open("wb"):  # it waits until a worker has opened it, which reads until we have closed it
        said = answers(fastlb, "cpuprofile", "1")
    asking.join()
    assert sorted(one["ok"] for one in said) == [False, True]
    (blocked,) = [one for one in said if not one["ok"]]
    assert "its event loop is blocked" in blocked["text"]
    assert trigger(fastlb, "hello", "--worker", str(blocked["worker"])).returncode == 0


def test_worker_without_anything_of_ours_is_asked_what_its_app_offers(fastlb: Fastlb) -> None:
    has_offered(start_node(fastlb, "acts.js", "--no-node-preload", workers=1), fastlb, 1)
    assert trigger(fastlb, "echo", "x").stdout == "app: worker 0: got x\n"
    refused = trigger(fastlb, "heapdump")
    assert refused.returncode == 1
    assert "has nothing of ours loaded" in refused.stderr
