"""What makes a Node worker ready, what a start that fails says, what an app finds in its process."""

import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import get
from tests.support.fastlb_process import App, CliResult, Fastlb, address_of, describe
from tests.support.load_plan import Address
from tests.support.node_driver import (
    APP_PORT,
    free_port,
    start_node,
    start_where_it_asks,
    variables,
    wait_for_answers_of,
)
from tests.support.node_packages import APPS, node_binary
from tests.support.ports import free_pair
from tests.support.waiting import scaled, wait_until

FAILURE, USAGE = 1, 2


def try_start(fastlb: Fastlb, script: str, *options: str) -> CliResult:
    """Start an app of node_apps that must fail, and leave nothing."""
    asked = ("start", str(APPS / script), "--name", "app", "--env", "HOST=127.0.0.1")
    result = fastlb.cli(*asked, *options)
    assert fastlb.pids == []
    assert fastlb.list_json() == []
    return result


def expect(result: CliResult, code: int, *words: str) -> None:
    assert result.returncode == code, describe(result)
    for word in words:
        assert word in result.stderr, describe(result)
    assert "fastlb/supervisor" not in result.stderr, "a traceback of ours"


def process_of(address: Address, path: str = "/") -> dict[str, Any]:
    """What shows_process.js tells of its worker."""
    return dict(get(address, path).json())


def processes_of(app: App) -> list[dict[str, Any]]:
    """What each worker of shows_process.js tells, by number."""
    wait_for_answers_of(app.address, len(app.worker_pids))
    shown: dict[str, dict[str, Any]] = {}
    while len(shown) < len(app.worker_pids):
        process = process_of(app.address)
        shown[process["env"]["NODE_APP_INSTANCE"]] = process
    return [shown[number] for number in sorted(shown)]


# What is ready


def test_worker_is_ready_when_it_listens_not_before(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "slow_start.js", "--env", "START_AFTER=300")
    assert {get(app.address).status for _ in range(4)} == {200}
    assert len(app.worker_pids) == 2


def test_wait_ready_waits_for_the_apps_own_word(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "pm2_style.js", "--wait-ready", "--env", "READY_AFTER=400")
    log = app.log("supervisor")
    assert log.count("worker_ready") == 2
    assert get(app.address).status == 200


def test_wait_ready_without_the_word_says_what_is_missing(fastlb: Fastlb) -> None:
    result = try_start(fastlb, "http.js", "--env", f"PORT={free_port()}", "--wait-ready", "--listen-timeout", "1.5")
    expect(result, FAILURE, "did not call process.send('ready') within 1.5 s", "--listen-timeout")


@pytest.mark.parametrize("script", ["never_listens.js", "exclusive.js"])
def test_app_that_never_asks_for_its_port_is_told_so(fastlb: Fastlb, script: str) -> None:
    result = try_start(fastlb, script, "--env", f"PORT={free_port()}", "--listen-timeout", "1.5")
    expect(result, FAILURE, "did not listen on a port of this app", "`exclusive`", "within 1.5 s")


def test_app_that_listens_only_elsewhere_than_at_bind_is_not_ready(fastlb: Fastlb) -> None:
    options = ("--bind", "127.0.0.1:0", "--env", f"UDP_PORT={free_port(socket.SOCK_DGRAM)}", "--listen-timeout", "1.5")
    expect(try_start(fastlb, "udp_only.js", *options), FAILURE, "did not listen on a port of this app")


def test_udp_alone_is_an_app_too(fastlb: Fastlb) -> None:
    port = free_port(socket.SOCK_DGRAM)
    app = start_where_it_asks(fastlb, APPS / "udp_only.js", "--env", f"UDP_PORT={port}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(scaled(5))
        client.sendto(b"hello", ("127.0.0.1", port))
        assert json.loads(client.recv(1024))["pid"] in app.worker_pids


def test_listen_with_host_and_callback(fastlb: Fastlb) -> None:
    """Node says `"backlog":false` then."""
    app = start_node(fastlb, "listens_with_callback.js")
    assert get(app.address).status == 200
    wait_until(lambda: app.log("out").count("listening") == 2, "both callbacks were called")


# What a start that fails says


def test_broken_app_shows_its_error_once(fastlb: Fastlb) -> None:
    result = try_start(fastlb, "dies_at_load.js", "--workers", "2")
    expect(result, FAILURE, "dies_at_load.js:4", "exited with code 1")
    assert result.stderr.count("Error: this app cannot be loaded") == 1


def test_script_that_cannot_be_parsed(fastlb: Fastlb) -> None:
    result = try_start(fastlb, "syntax_error.js")
    expect(result, FAILURE, "SyntaxError", "syntax_error.js:4", "const broken = ;")


def test_port_in_use_is_named_with_its_owner(fastlb: Fastlb) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = try_start(fastlb, "http.js", "--env", f"PORT={port}", "--workers", "2")
    expect(result, FAILURE, f"port {port} is in use", f"(pid {os.getpid()})", "EADDRINUSE")
    assert result.stderr.count("in use by") == 1


def test_port_in_use_by_another_app_of_fastlb_is_named_as_such(fastlb: Fastlb) -> None:
    options = ("--env", f"PORT={free_port()}")
    start_where_it_asks(fastlb, APPS / "http.js", *options)
    result = fastlb.cli("start", str(APPS / "http.js"), "--name", "second", "--env", "HOST=127.0.0.1", *options)
    expect(result, FAILURE, "fastlb stop app")
    assert "fastlb.lb" not in result.stderr


def test_udp_port_in_use(fastlb: Fastlb) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        result = try_start(fastlb, "udp_only.js", "--env", f"UDP_PORT={port}")
    expect(result, FAILURE, f"cannot listen on udp:127.0.0.1:{port}: Address already in use", "EADDRINUSE")


def test_address_of_another_machine(fastlb: Fastlb) -> None:
    result = try_start(fastlb, "http.js", "--env", "PORT=8080", "--env", "HOST=192.0.2.7")
    expect(result, FAILURE, "192.0.2.7 is no address of this machine")


def test_unix_path_in_use(fastlb: Fastlb, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    path.write_text("somebody's")
    result = try_start(fastlb, "unix_path.js", "--env", f"SOCKET_PATH={path}")
    expect(result, FAILURE, f"{path} is in use")
    assert path.read_text() == "somebody's"


def test_descriptor_that_was_not_passed_names_the_option(fastlb: Fastlb) -> None:
    result = try_start(fastlb, "listen_fd.js", "--env", "LISTEN_FD=33")
    expect(result, FAILURE, "--bind fd:33")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no_such_script.js"], ["there is no file", "no_such_script.js"]),
        (["npm", "--exec-mode", "cluster", "--", "start"], ["'npm'", "fastlb start"]),
        (["npx", "--exec-mode", "cluster"], ["'npx'", "fastlb start"]),
        (["http.js", "--interpreter", "bun"], ["'bun'", "another protocol"]),
        (["http.js", "--interpreter", "/no/such/node"], ["/no/such/node"]),
        (["http.js", "--node-args=--watch"], ["--watch"]),
        (["http.js", "--increment-var", "PORT", "--env", "PORT=http"], ["PORT", "'http'"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_mistake_of_the_command_line_is_wrong_usage(fastlb: Fastlb, arguments: list[str], words: list[str]) -> None:
    result = fastlb.cli("start", *arguments, cwd=APPS)
    expect(result, USAGE, *words)
    assert fastlb.pids == []


def test_interpreter_that_is_not_node(fastlb: Fastlb) -> None:
    result = try_start(fastlb, "http.js", "--interpreter", "/bin/true")
    expect(result, FAILURE, "/bin/true")


# What an app finds


def test_workers_are_numbered_and_counted_up(fastlb: Fastlb) -> None:
    first = free_port()
    numbers = ("--instance-var", "MY_NUMBER", "--increment-var", "METRICS_PORT", "--env", f"METRICS_PORT={first}")
    app = start_node(fastlb, "shows_process.js", *numbers, workers=3)
    seen: set[tuple[str, int]] = set()
    while len(seen) < 3:
        env = process_of(app.address)["env"]
        assert "NODE_APP_INSTANCE" not in env
        seen.add((env["MY_NUMBER"], int(env["METRICS_PORT"])))
    assert seen == {(str(number), first + number) for number in range(3)}


def test_each_worker_may_have_a_port_of_its_own(fastlb: Fastlb) -> None:
    first = free_pair()
    app = start_where_it_asks(fastlb, APPS / "http.js", "--increment-var", "PORT", "--env", f"PORT={first}")
    answers = [get(("127.0.0.1", first + number)).json() for number in (0, 1)]
    assert [answer["NODE_APP_INSTANCE"] for answer in answers] == ["0", "1"]
    assert [answer["pid"] for answer in answers] == app.worker_pids
    assert sorted(app.binds) == [f"127.0.0.1:{first}", f"127.0.0.1:{first + 1}"]


def test_arguments_options_and_directory_arrive(fastlb: Fastlb, tmp_path: Path) -> None:
    options = ("--node-args=--max-old-space-size=128 --title=its-own", "--cwd", str(tmp_path))
    arguments = ("--", "--port", "7", "two words", "")
    app = start_node(fastlb, "shows_process.js", *options, *arguments)
    processes = processes_of(app)
    assert len({process["worker"]["id"] for process in processes}) == 2, "each has an id of its own"
    for process in processes:
        assert process["argv"] == [os.path.realpath(node_binary()), str(APPS / "shows_process.js"), *arguments[1:]]
        assert process["execArgv"] == ["--max-old-space-size=128", "--title=its-own"]
        assert process["title"] == "its-own"
        assert process["cwd"] == str(tmp_path)
        assert process["ppid"] == app.supervisor_pid


def test_app_is_a_worker_of_a_cluster_and_its_children_are_not(fastlb: Fastlb) -> None:
    fastlb.env |= {"NODE_CHANNEL_FD": "77", "NODE_UNIQUE_ID": "99", "NODE_CHANNEL_SERIALIZATION_MODE": "advanced"}
    app = start_node(fastlb, "shows_process.js", workers=1)
    process = process_of(app.address, "/child")
    assert process["worker"]["isWorker"]
    assert process["worker"]["connected"]
    assert process["worker"]["id"] >= 1
    for env in (process["env"], process["childEnv"]):
        assert not {"NODE_CHANNEL_FD", "NODE_UNIQUE_ID", "NODE_CHANNEL_SERIALIZATION_MODE"} & env.keys()
    assert "NODE_APP_INSTANCE" in process["childEnv"]


# Where it listens


def test_bind_maps_the_apps_port_and_the_app_sees_its_own(fastlb: Fastlb) -> None:
    unix = fastlb.directory / "app.sock"
    binds = ("--bind", "127.0.0.1:0", "--bind", f"unix:{unix}", "--bind", "127.0.0.1:0")
    app = start_node(fastlb, "shows_process.js", *binds)
    addresses = [address_of(bind) for bind in app.binds]
    assert len(addresses) == 3
    assert str(unix) in addresses
    for address in addresses:
        assert process_of(address)["address"]["port"] == APP_PORT


def test_without_bind_it_listens_where_it_asks(fastlb: Fastlb) -> None:
    port = free_port()
    app = start_where_it_asks(fastlb, APPS / "shows_process.js", "--env", f"PORT={port}")
    assert app.binds == [f"127.0.0.1:{port}"]
    assert process_of(app.address)["address"] == {"address": "127.0.0.1", "family": "IPv4", "port": port}


def test_second_server_listens_where_it_asks_beside_bind(fastlb: Fastlb) -> None:
    admin = free_port()
    app = start_node(fastlb, "two_ports.js", *variables({"ADMIN_PORT": admin, "HOST": "127.0.0.1"}))
    assert get(app.address).json()["server"] == "PORT"
    assert get(("127.0.0.1", admin)).json()["server"] == "ADMIN_PORT"
    assert f"127.0.0.1:{admin}" in app.binds


# What is shown


def test_list_and_show_tell_connections_and_no_requests(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js")
    assert get(app.address).status == 200
    for workers in (app.entry()["workers"], app.show()["workers"]):
        assert [worker["requests"] for worker in workers] == [None, None]
        assert [type(worker["connections"]) for worker in workers] == [int, int]
    shown = fastlb.ok("list", "--apps").stdout
    columns, row = shown.splitlines()[:2]
    at = re.split(r" +", columns.strip()).index("requests")
    assert re.split(r" +", row.strip())[at] == "-", shown
    assert json.loads(fastlb.ok("list", "--json").stdout)[0]["workers"][0]["requests"] is None


def test_app_that_throws_soon_after_it_listens_has_not_started(fastlb: Fastlb) -> None:
    failed = fastlb.try_start(str(APPS / "dies_after_listening.js"), "--settle", "30", "--env", "PORT=0")
    assert failed.returncode == 1
    assert "this app does not live long" in failed.stderr, "the traceback is on the screen"
