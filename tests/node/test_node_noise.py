"""What apps write to their channel: messages that mean something are heard, nonsense harms nobody but its sender."""

import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.client import get
from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.node_driver import start_node, wait_for_answers_of
from tests.support.waiting import scaled, wait_until

MESSAGES = 20_000
NONSENSE = ("/null", "/garbage", "/acks?count=5", "/answers?count=5", "/foreign", "/empty")
# EVENTS_PER_SECOND of the supervisor, for as long as such a burst may take on a slow machine.
MOST_LOGGED = 3000


@pytest.fixture
def app(fastlb: Fastlb) -> Iterator[App]:
    """Two workers of noisy.js, and a supervisor and a dispatcher that must be the same at the end."""
    started = start_node(fastlb, "noisy.js")
    before = (started.supervisor_pid, started.dispatcher_pid)
    yield started
    assert (started.supervisor_pid, started.dispatcher_pid) == before
    assert "unhandled_error" not in started.log("supervisor")


def test_nonsense_harms_nobody(app: App) -> None:
    workers = set(app.worker_pids)
    with LoadProcess(Plan(address=app.address)) as load:
        for noise in NONSENSE:
            load.wait_for(50)
            assert app.get(noise, timeout=15).json()["pid"] in workers, noise
        load.wait_for(200)
    assert load.report.failed == 0, load.report
    assert wait_for_answers_of(app.address) == workers == set(app.worker_pids)


def test_flood_of_messages_harms_nobody(app: App) -> None:
    workers = set(app.worker_pids)
    with LoadProcess(Plan(address=app.address)) as load:
        load.wait_for(50)
        assert app.get(f"/flood?messages={MESSAGES}", timeout=15).json()["pid"] in workers
        load.wait_for(200)
    assert load.report.failed == 0, load.report
    assert wait_for_answers_of(app.address) == workers == set(app.worker_pids)


@pytest.mark.parametrize("noise", ["/line?mib=2", "/unterminated?mib=64"])
def test_line_without_end_kills_its_writer_and_says_why(app: App, noise: str) -> None:
    workers = set(app.worker_pids)
    guilty = app.get(noise).json()["pid"]
    wait_until(lambda: not processes.is_running(guilty), "it is killed", timeout=10)
    (other,) = workers - {guilty}
    wait_until(lambda: guilty not in app.worker_pids, "that is known")
    app.wait_online(2)
    assert other in app.worker_pids
    assert wait_for_answers_of(app.address) == set(app.worker_pids)
    assert "wrote a line of more than 1 MiB to its IPC channel" in app.log("supervisor")


def test_long_lines_that_are_short_enough_are_heard(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "talkative.js")
    workers = set(app.worker_pids)
    for _ in range(4):
        app.get("/say?bytes=1000000", timeout=15)
    wait_until(lambda: app.log("supervisor").count("process_msg") == 4, "all four are logged")
    longest = max(map(len, app.log("supervisor").splitlines()))
    assert longest < 4096, "cut, so that no app fills the disk"
    assert wait_for_answers_of(app.address) == workers


def test_message_of_pm2_is_an_event_in_the_log(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "pm2_style.js", workers=1)
    (pid,) = app.worker_pids
    app.get("/say")
    wait_until(lambda: "process_msg" in app.log("supervisor"), "it is logged")
    (line,) = [line for line in app.log("supervisor").splitlines() if "process_msg" in line]
    assert "worker_id=0" in line
    assert "hello" in line
    assert str(pid) in line


def test_flood_of_messages_is_not_all_logged(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "talkative.js")
    assert app.get(f"/say?count={MESSAGES}", timeout=20).status == 200
    wait_for_answers_of(app.address)
    wait_until(lambda: app.log("supervisor").count("process_msg") > 0, "some are logged")
    assert app.log("supervisor").count("process_msg") < MOST_LOGGED


def test_ready_is_heard_from_an_app_that_floods(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "floods_and_says_ready.js", "--wait-ready", "--listen-timeout", f"{scaled(5):g}")
    assert app.get().status == 200


def test_socket_that_the_app_sends_does_not_wedge_its_worker(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "sends_socket.js", "--kill-timeout", "600", workers=1)
    (pid,) = app.worker_pids
    for _ in range(5):
        with pytest.raises(ConnectionError):
            get(app.address, "/send")
    assert [get(app.address).json()["pid"] for _ in range(10)] == [pid] * 10
    wait_until(lambda: app.log("supervisor").count("handle_refused") == 5, "it is logged")
    app.ok("stop", timeout=20)
    assert "killed" not in app.log("supervisor"), "its server asks what became of them, and is answered"


def test_descriptors_that_an_app_sends_are_not_collected(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "sends_socket.js", workers=1)
    before = [processes.fd_count(pid) for pid in (app.supervisor_pid, app.dispatcher_pid)]
    for _ in range(20):
        with pytest.raises(ConnectionError):
            get(app.address, "/send")
    get(app.address)

    def are_as_before() -> bool:
        return [processes.fd_count(pid) for pid in (app.supervisor_pid, app.dispatcher_pid)] == before

    wait_until(are_as_before, "all of them are closed")


def test_query_for_nonsense_is_answered_with_an_error_or_not_at_all(fastlb: Fastlb, tmp_path: Path) -> None:
    app = start_node(fastlb, "asks_nonsense.js", "--env", f"DIRECTORY={tmp_path}", workers=2)
    workers = set(app.worker_pids)
    for _ in range(2):
        app.get("/ask")
    wait_until(lambda: app.log("supervisor").count("listen_failed") >= 2, "some were refused")
    assert wait_for_answers_of(app.address) == workers
    assert "unhandled_error" not in app.log("supervisor")
    assert not any(stat.S_ISSOCK(path.lstat().st_mode) for path in tmp_path.iterdir())
    assert len(app.binds) == 1, "nothing more listens"


def test_app_that_tries_again_and_again_to_listen_holds_up_nobody(fastlb: Fastlb) -> None:
    """To find out who has the port takes a good part of a second: not a hundred times."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        options = ("--env", f"TAKEN_PORT={other.getsockname()[1]}")
        app = start_node(fastlb, "retries_listen.js", *options, workers=1)
        wait_until(lambda: app.get().json()["failures"] >= 100, "it has tried a hundred times", timeout=15)
    assert 0 < app.log("supervisor").count("listen_failed") < 10


def test_worker_that_is_killed_within_a_line_harms_nobody(app: App) -> None:
    workers = set(app.worker_pids)
    guilty = app.get("/unterminated?mib=0.5").json()["pid"]
    os.kill(guilty, signal.SIGKILL)
    wait_until(lambda: guilty not in app.worker_pids, "its death is known")
    app.wait_online(2)
    assert wait_for_answers_of(app.address) == set(app.worker_pids)
    assert (workers - {guilty}) < set(app.worker_pids)
