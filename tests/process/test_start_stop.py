"""What `start`, `list`, `show`, `stop`, `restart`, `delete` and `run` do to real processes."""

import json
import re
import signal
import socket
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from fastlb.supervisor.version import VERSION

from tests.support import processes
from tests.support.client import Connection
from tests.support.fastlb_process import APPS, App, Fastlb, describe
from tests.support.waiting import scaled, wait_until

ENTRY_KEYS = {"name", "status", "mode", "pid", "uptime_s", "restarts", "binds", "balance", "workers"} | {
    *("target", "cwd", "version", "started_at", "last_exit"),
}
WORKER_KEYS = {
    *("id", "pid", "status", "uptime_s", "restarts"),
    *("connections", "requests", "rss_bytes", "cpu_percent"),
}


def test_start_returns_when_every_worker_is_admitted(fastlb: Fastlb) -> None:
    # A worker that waits for a processor beside other tests is not to be passed over.
    app = fastlb.start("asgi_probe:app", "--workers", "3", "--handover-timeout", "10s")
    assert [worker["status"] for worker in app.entry()["workers"]] == ["online"] * 3
    answers = Counter(app.get().json()["worker"] for _ in range(30))
    # One that is still busy with its last client is passed over.
    assert min(answers[worker] for worker in range(3)) >= 5, answers


def test_processes_of_an_app_are_supervisor_dispatcher_and_workers(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    assert sorted(fastlb.pids) == sorted([app.supervisor_pid, app.dispatcher_pid, *app.worker_pids])
    # On a busy machine one that gets no processor gives what it has to the other.
    for pid in app.worker_pids:
        wait_until(partial(answers, app, pid), f"worker {pid} answers")


def answers(app: App, pid: int) -> bool:
    """Return whether it is this worker that answers."""
    return bool(app.get().json()["pid"] == pid)


def test_processes_say_in_ps_whose_they_are(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2", name="shop")
    assert processes.command_line(app.supervisor_pid)[-1] == "shop"
    assert "app=shop" in processes.command_line(app.dispatcher_pid)
    for worker_id, pid in enumerate(app.worker_pids):
        assert {"app=shop", f"worker={worker_id}"} <= set(processes.command_line(pid))


def test_list_json_has_the_promised_fields(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    for _ in range(6):
        app.get()
    wait_until(lambda: sum(w["requests"] for w in app.entry()["workers"]) == 6, "6 requests counted")
    entry = app.entry()
    assert set(entry) >= ENTRY_KEYS
    assert all(set(worker) >= WORKER_KEYS for worker in entry["workers"])
    assert (entry["name"], entry["status"], entry["mode"]) == ("app", "online", "cluster")
    assert entry["balance"] == "round-robin"
    assert [worker["id"] for worker in entry["workers"]] == [0, 1]
    assert all(worker["rss_bytes"] > 1_000_000 for worker in entry["workers"])


def test_list_json_says_what_runs_where_since_when(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    entry = app.entry()
    assert (entry["target"], entry["cwd"], entry["version"]) == ("asgi_probe:app", str(APPS), VERSION)
    age = datetime.now(UTC) - datetime.fromisoformat(entry["started_at"])
    assert timedelta() <= age < timedelta(seconds=scaled(60))
    assert entry["last_exit"] == ""
    app.ok("stop")
    (stopped,) = fastlb.list_json()
    assert (stopped["target"], stopped["cwd"], stopped["version"]) == ("asgi_probe:app", str(APPS), "")


def test_restarts_and_the_last_exit_outlive_restart_and_reload(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    for restarts in (1, 2):
        with pytest.raises(ConnectionError):
            app.get("/exit?7")
        wait_until(lambda: app.entry()["restarts"] == restarts, "it is started anew")  # noqa: B023 - waited for here
        app.wait_online(2)
    (crashed,) = {worker["last_exit"] for worker in app.entry()["workers"] if worker["last_exit"]}
    assert crashed == "exited with code 7"
    for command in ("restart", "reload"):
        app.ok(command)
        app.wait_online(2)
        entry = app.entry()
        assert entry["restarts"] == 2, command
        assert sum(worker["restarts"] for worker in entry["workers"]) == 2
        assert re.fullmatch(r"worker [01] exited with code 7", entry["last_exit"])


def test_show_json_has_the_settings_without_secrets(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1", "--env", "PASSWORD=canary-7")
    details = app.show()
    assert set(details) >= ENTRY_KEYS | {"settings"}
    assert details["settings"]["workers"] == 1
    assert "canary-7" not in json.dumps(details) + fastlb.ok("show", "app").stdout


def test_list_is_plain_text_when_piped(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app")
    shown = fastlb.ok("list").stdout
    assert "app" in shown
    assert "online" in shown
    assert "\x1b" not in shown


def test_stop_ends_every_process_and_keeps_the_app_listed(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    address = app.address
    app.ok("stop")
    assert fastlb.pids == []
    assert app.entry()["status"] == "stopped"
    with pytest.raises(ConnectionRefusedError):
        Connection(address)


def test_restart_of_a_stopped_app_starts_it_again_with_its_settings(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    app.ok("stop")
    app.ok("restart")
    app.wait_online(2)
    assert app.get().status == 200


def test_number_of_workers_of_a_scale_outlives_restart_and_stop(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    app.ok("scale", "3")
    app.ok("restart")
    app.wait_online(3)
    app.ok("stop")
    assert app.show()["settings"]["workers"] == 3
    app.ok("restart")
    app.wait_online(3)
    app.ok("stop")
    app.ok("start", "--workers", "2")
    app.wait_online(2)


def test_restart_replaces_every_worker_on_the_same_listener(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    port, before = app.port, set(app.worker_pids)
    app.ok("restart")
    app.wait_online(2)
    assert app.port == port
    assert not before & set(app.worker_pids)


def test_delete_of_an_app_that_is_in_its_first_start_ends_it(fastlb: Fastlb) -> None:
    starting = fastlb.popen("start", "never_ready:app", "--name", "app", "--bind", "127.0.0.1:0")
    wait_until(lambda: fastlb.list_json() and fastlb.app().entry()["workers"], "it is starting")
    fastlb.app().ok("delete")
    starting.communicate(timeout=scaled(10))
    assert starting.returncode == 1
    assert fastlb.pids == []


def test_delete_forgets_the_app_and_keeps_its_logs(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    app.get("/print?remember")
    app.ok("delete")
    assert fastlb.list_json() == []
    assert not (fastlb.home / "apps" / "app").exists()
    assert "remember" in app.log("out")


def test_kill_stops_every_app(fastlb: Fastlb) -> None:
    for name in ("one", "two"):
        fastlb.start("asgi_probe:app", name=name)
    fastlb.ok("kill")
    assert fastlb.pids == []


def test_stop_takes_several_names_and_all(fastlb: Fastlb) -> None:
    for name in ("one", "two", "three"):
        fastlb.start("asgi_probe:app", name=name)
    fastlb.ok("stop", "one", "two")
    assert [entry["name"] for entry in fastlb.list_json() if entry["status"] == "online"] == ["three"]
    fastlb.ok("stop", "all")
    assert fastlb.pids == []


@pytest.mark.parametrize("target", ["asgi_probe:app", "wsgi_probe:app"])
def test_stop_does_not_wait_for_clients_that_ask_nothing(fastlb: Fastlb, target: str) -> None:
    app = fastlb.start(target, "--timeout-keep-alive", "600s", "--kill-timeout", "600s")
    with Connection(app.address) as kept, Connection(app.address) as silent:
        kept.send()
        kept.receive()
        app.ok("stop", timeout=15)
        assert (kept.sock.recv(1), silent.sock.recv(1)) == (b"", b"")


def test_stop_lets_a_running_request_finish(fastlb: Fastlb, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    app = fastlb.start("asgi_probe:app")
    with Connection(app.address) as client:
        client.send(f"/until?{gate}")
        wait_until(lambda: fastlb.requests_begun_and_ended() == (1, 0), "the request is being processed")
        stopping = fastlb.popen("stop", "app")
        wait_until(lambda: app.entry()["status"] == "stopping", "the app is stopping")
        gate.touch()
        assert client.receive().status == 200
    _, errors = stopping.communicate(timeout=scaled(20))
    assert stopping.returncode == 0, errors


def test_worker_that_ignores_term_is_killed_after_kill_timeout(fastlb: Fastlb) -> None:
    app = fastlb.start("ignores_term:app", "--kill-timeout", "0.5")
    with Connection(app.address) as client:
        client.send("/forever")
        wait_until(lambda: app.entry()["workers"][0]["connections"] == 1, "the request has been taken")
        app.ok("stop")
    assert fastlb.pids == []


def test_caller_environment_directory_and_arguments_reach_the_app(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "where.py").write_text(
        "import json, os, sys\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    variables = [os.environ.get(name) for name in ('FROM_CALLER', 'FROM_OPTION')]\n"
        "    return [json.dumps([os.getcwd(), *variables, sys.argv[1:]]).encode()]\n"
    )
    fastlb.env["FROM_CALLER"] = "caller"
    options = ("--name", "where", "--bind", "127.0.0.1:0", "--env", "FROM_OPTION=a=b")
    result = fastlb.cli("start", "where:app", *options, "--", "--flag", "value", cwd=tmp_path)
    assert result.returncode == 0, describe(result)
    seen = fastlb.app("where").get().json()
    assert seen == [str(tmp_path), "caller", "a=b", ["--flag", "value"]]


def test_wsgi_app_is_found_out_by_looking(fastlb: Fastlb) -> None:
    app = fastlb.start("wsgi_probe:app", "--workers", "2", "--threads", "2")
    seen: set[int] = set()

    def both_have_answered() -> bool:
        seen.add(app.get().json()["worker"])
        return seen == {0, 1}

    wait_until(both_have_answered, "both answer")


def test_websocket_is_served_by_one_worker(fastlb: Fastlb) -> None:
    from websockets.sync.client import connect

    app = fastlb.start("asgi_probe:app", "--workers", "2")
    with connect(f"ws://127.0.0.1:{app.port}/") as websocket:
        assert json.loads(websocket.recv())["pid"] in app.worker_pids
        websocket.send("text")
        assert websocket.recv() == "text"


def test_home_and_control_socket_are_private(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app")
    assert fastlb.home.stat().st_mode & 0o777 == 0o700
    assert (fastlb.home / "apps" / "app" / "control.sock").stat().st_mode & 0o777 == 0o600


def test_wait_ready_waits_for_the_word_of_the_app(fastlb: Fastlb, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    fastlb.env["FASTLB_TEST_GATE"] = str(gate)
    options = ("--name", "app", "--bind", "127.0.0.1:0", "--wait-ready")
    starting = fastlb.popen("start", "says_ready:app", *options)
    wait_until(lambda: [e for e in fastlb.list_json() if e["workers"]], "a worker is starting")
    assert fastlb.app().worker_pids == []
    gate.touch()
    _, errors = starting.communicate(timeout=scaled(20))
    assert starting.returncode == 0, errors
    assert fastlb.app().get().status == 200


class TestRun:
    """`fastlb run` in the foreground."""

    def run(self, fastlb: Fastlb) -> App:
        options = ("--name", "app", "--bind", "127.0.0.1:0", "--workers", "2")
        self.process = fastlb.popen("run", "asgi_probe:app", *options)
        wait_until(lambda: [e for e in fastlb.list_json() if e["status"] == "online"], "it is online", 20)
        return fastlb.app()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_signal_drains_and_stops(self, fastlb: Fastlb, number: int, tmp_path: Path) -> None:
        app, gate = self.run(fastlb), tmp_path / "gate"
        with Connection(app.address) as client:
            client.send(f"/until?{gate}")
            wait_until(lambda: fastlb.requests_begun_and_ended() == (1, 0), "the request is being processed")
            self.process.send_signal(number)
            wait_until(lambda: app.entry()["status"] == "stopping", "the app is stopping")
            gate.touch()
            assert client.receive().status == 200
        _, errors = self.process.communicate(timeout=scaled(10))
        assert "fastlb | waiting up to 30s for what is under way on 1 open connection; once more" in errors
        assert self.process.returncode == 0
        assert fastlb.pids == []

    def test_hangup_reloads(self, fastlb: Fastlb) -> None:
        app = self.run(fastlb)
        before = set(app.worker_pids)
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(now := set(app.worker_pids)) == 2 and not now & before, "new workers", 20)
        app.ok("stop")
        self.process.communicate(timeout=scaled(10))

    def test_output_of_the_workers_reaches_the_terminal(self, fastlb: Fastlb) -> None:
        app = self.run(fastlb)
        app.get("/print?visible")
        self.process.send_signal(signal.SIGTERM)
        output, errors = self.process.communicate(timeout=scaled(10))
        assert "visible" in output + errors

    def test_second_signal_stops_at_once(self, fastlb: Fastlb) -> None:
        app = self.run(fastlb)
        with Connection(app.address) as client:
            client.send("/sleep?60")
            wait_until(lambda: fastlb.requests_begun_and_ended() == (1, 0), "the request is being processed")
            self.process.send_signal(signal.SIGTERM)
            wait_until(lambda: app.entry()["status"] == "stopping", "the app is stopping")
            self.process.send_signal(signal.SIGTERM)
            self.process.communicate(timeout=scaled(10))
        assert fastlb.pids == []


def test_idle_app_uses_no_cpu_in_the_dispatcher(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    app.get()
    dispatcher = app.dispatcher_pid
    before = processes.cpu_nanoseconds(dispatcher)
    silent, other = socket.socketpair()
    with silent, other:
        silent.settimeout(1)
        with pytest.raises(TimeoutError):  # a second in which nothing happens
            silent.recv(1)
    assert processes.cpu_nanoseconds(dispatcher) - before < 10_000_000
