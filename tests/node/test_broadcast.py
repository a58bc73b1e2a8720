"""`--broadcast`: what a Node worker sends goes to all others, within bounds; packages that need it work."""

import json
import os
import signal
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.support.fastlb_process import App, Fastlb
from tests.support.node_clients import run_client
from tests.support.node_driver import start_node, wait_for_answers_of
from tests.support.waiting import scaled, wait_until

PATIENT = ("--handover-timeout", "5")
WORKERS = 3


def ask(app: App, path: str, pid: int = 0) -> dict[str, Any]:
    """Ask until worker `pid` answers; 0: any."""
    answers: list[dict[str, Any]] = []

    def is_answered() -> bool:
        answers.append(app.get(path).json())
        return not pid or answers[-1]["pid"] == pid

    wait_until(is_answered, f"worker {pid} answers")
    return answers[-1]


def wait_heard(app: App, pid: int, texts: list[str]) -> None:
    wait_until(lambda: ask(app, "/heard", pid)["heard"] == texts, f"{pid} has heard {texts}", timeout=10)


def messages(app: App) -> dict[str, int]:
    counted: dict[str, int] = app.show()["messages"]
    return counted


def test_nothing_is_forwarded_unless_it_is_asked_for(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "sends_to_others.js", workers=2)
    ask(app, "/send?text=a")
    for pid in app.worker_pids:
        assert ask(app, "/heard", pid)["heard"] == []
    assert messages(app) == {}


def test_message_goes_to_all_others_once_and_in_order(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "sends_to_others.js", "--broadcast", *PATIENT, workers=WORKERS)
    sender = ask(app, "/send?text=a&count=3")["pid"]
    others = set(app.worker_pids) - {sender}
    for pid in others:
        wait_heard(app, pid, [f"{sender} a{number}" for number in range(3)])
    assert ask(app, "/heard", sender)["heard"] == []
    assert messages(app) == {"forwarded": 3, "dropped": 0, "above_rate": 0}, "ready is for us alone"
    assert "messages" in fastlb.ok("show", "app").stdout


def test_replacements_hear_and_are_heard(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "sends_to_others.js", "--broadcast", *PATIENT, workers=2)
    before = set(app.worker_pids)
    app.ok("reload", timeout=30)
    wait_until(lambda: not before & set(app.worker_pids), "all are replaced", timeout=10)
    sender = ask(app, "/send?text=new")["pid"]
    (other,) = set(app.worker_pids) - {sender}
    wait_heard(app, other, [f"{sender} new0"])


def test_message_that_is_too_long_is_dropped_counted_and_said(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "sends_to_others.js", "--broadcast", *PATIENT, workers=WORKERS)
    sender = ask(app, "/send?text=long&bytes=32768")["pid"]
    ask(app, f"/send?text=fits&bytes=32000&by={sender}", sender)
    for pid in set(app.worker_pids) - {sender}:
        wait_heard(app, pid, [f"{sender} fits0"])
    assert messages(app)["dropped"] == WORKERS - 1
    assert app.log("supervisor").count("message_dropped") == 1


def connect_to_each(app: App) -> dict[int, HTTPConnection]:
    """Return a kept connection to each worker, by pid."""
    found: dict[int, HTTPConnection] = {}

    def has_all() -> bool:
        connection = HTTPConnection("127.0.0.1", app.port, timeout=scaled(10))
        found.setdefault(ask_kept(connection, "/")["pid"], connection)
        return len(found) == WORKERS

    wait_until(has_all, "there is a connection to each worker")
    return found


def ask_kept(connection: HTTPConnection, path: str) -> dict[str, Any]:
    connection.request("GET", path)
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    return answer


def wait_kept_heard(connection: HTTPConnection, expected: list[str]) -> None:
    heard: list[str] = []

    def is_all() -> bool:
        heard[:] = ask_kept(connection, "/heard")["heard"]
        return len(heard) >= len(expected)

    wait_until(is_all, "all is heard", timeout=15)
    assert heard == expected


def test_worker_that_does_not_read_costs_a_bounded_queue_and_only_its_own_messages(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "sends_to_others.js", "--broadcast", *PATIENT, workers=WORKERS)
    connections = connect_to_each(app)
    stopped, sender, listening = app.worker_pids
    os.kill(stopped, signal.SIGSTOP)
    try:
        expected: list[str] = []
        for round_number in range(6):
            ask_kept(connections[sender], f"/send?text={round_number}.&count=30&bytes=15000")
            expected += [f"{sender} {round_number}.{number}" for number in range(30)]
            wait_kept_heard(connections[listening], expected)
        dropped = messages(app)["dropped"]
        assert 60 < dropped < 180, "about 1.2 MB of 2.7 MB wait"
    finally:
        os.kill(stopped, signal.SIGCONT)
    heard: list[str] = []

    def has_heard_the_rest() -> bool:
        heard[:] = ask(app, "/heard", stopped)["heard"]
        return len(heard) == 180 - dropped

    wait_until(has_heard_the_rest, "what waited arrives", timeout=15)
    assert heard == expected[: len(heard)], "the first ones, in order"
    assert wait_for_answers_of(app.address, WORKERS) == set(app.worker_pids)
    for connection in connections.values():
        connection.close()


def test_socketio_reaches_the_clients_of_all_workers(fastlb: Fastlb, framework_apps: Path) -> None:
    app = start_node(fastlb, framework_apps / "socketio_adapter.js", "--broadcast", *PATIENT, workers=WORKERS)
    client = framework_apps / "socketio_adapter_client.js"
    wait_for_answers_of(app.address, WORKERS)
    *told, counted = run_client(client, f"http://127.0.0.1:{app.port}", "6", str(scaled(10)))
    assert (len(told), counted) == (6, 6)
    assert set(told) == set(app.worker_pids)


def test_log4js_writes_what_all_workers_log_to_one_file(
    fastlb: Fastlb, framework_apps: Path, tmp_path: Path
) -> None:
    log = tmp_path / "app.log"
    variables = ("--env", f"LOG_FILE={log}")
    app = start_node(fastlb, framework_apps / "log4js.js", "--broadcast", *variables, *PATIENT, workers=WORKERS)
    for pid in app.worker_pids:
        ask(app, "/log", pid)
    wait_until(
        lambda: log.exists() and all(f"said by {pid}" in log.read_text() for pid in app.worker_pids),
        "all lines are there", timeout=10
    )


def test_setting_is_for_node(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("app = None\n")
    result = fastlb.cli("start", "app:app", "--broadcast", "--cwd", str(tmp_path))
    assert "--broadcast: this is for Node apps" in result.stderr
    assert result.returncode == 2
