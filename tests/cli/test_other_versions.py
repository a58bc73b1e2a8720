"""Commands and a supervisor of another version: what is frozen of the protocol is enough to see and to end the app."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastlb.supervisor.control.protocol import FROZEN_METHODS, PROTOCOL_VERSION
from fastlb.supervisor.home.paths import AppPaths, prepare_app_dir, prepare_home
from fastlb.supervisor.home.stored_config import save_config
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import scaled

Process = subprocess.Popen[str]

RECORDED = Path(__file__).resolve().parents[1] / "support" / "recorded" / "control_protocol_1.jsonl"
CONFIG = AppConfig(target="asgi_probe:app", name="app", bind=("127.0.0.1:0",))
# What a supervisor of that version answers, with the number of another one; it holds the lock, as that one did.
SUPERVISOR = """
import json, socket, sys
from pathlib import Path
from fastlb.supervisor.home.app_lock import AppLock
from fastlb.supervisor.home.paths import AppPaths
home, recorded, version = sys.argv[1:]
paths = AppPaths(Path(home), "app")
lock = AppLock.acquire(paths)
paths.lock.write_bytes(b"")  # versions from before it did not say there who they are
replies = {line["method"]: line["reply"] for line in map(json.loads, Path(recorded).read_text().splitlines())}
listener = socket.socket(socket.AF_UNIX)
listener.bind(str(paths.control_socket))
listener.listen()
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    for line in connection.makefile("rb"):
        request = json.loads(line)
        unknown = {"error": {"code": -32601, "message": "no"}}
        reply = replies.get(request["method"], unknown) | {"id": request["id"], "protocol": int(version)}
        answer = json.dumps(reply) if int(version) else "a language that nobody knows"
        connection.sendall(answer.encode() + b"\\n")
        if request["method"] == "stop" and int(version):
            paths.control_socket.unlink()
            sys.exit(0)
"""


@pytest.fixture(params=[PROTOCOL_VERSION + 1, 0], ids=["another version", "another language"])
def supervisor(fastlb: Fastlb, request: pytest.FixtureRequest) -> Iterator[Process]:
    """A running supervisor of another version, of the app `app`."""
    paths = AppPaths(fastlb.home, "app")
    prepare_home(paths.home)
    prepare_app_dir(paths)
    save_config(paths, CONFIG)
    command = [sys.executable, "-c", SUPERVISOR, str(fastlb.home), str(RECORDED), str(request.param)]
    fastlb.allow_left_sockets()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=fastlb.env) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_every_frozen_method_was_recorded() -> None:
    recorded = [json.loads(line)["method"] for line in RECORDED.read_text().splitlines()]
    assert recorded == list(FROZEN_METHODS)


@pytest.mark.parametrize("command", ["reload", "restart", "logs", "show"])
def test_what_is_not_frozen_is_refused_with_what_to_do(fastlb: Fastlb, supervisor: Process, command: str) -> None:
    arguments = ("--follow",) if command == "logs" else ()
    result = fastlb.cli(command, "app", *arguments, timeout=20)
    assert result.returncode == 1
    assert "app was started by another fastlb" in result.stderr
    assert "`fastlb stop app`, then `fastlb start app`" in result.stderr
    assert supervisor.poll() is None


@pytest.mark.parametrize("supervisor", [PROTOCOL_VERSION + 1], indirect=True)
def test_list_shows_what_the_other_version_says(fastlb: Fastlb, supervisor: Process) -> None:
    [entry] = fastlb.list_json()
    assert (entry["status"], len(entry["workers"]), entry["balance"]) == ("online", 2, "round-robin")


@pytest.mark.parametrize("command", [["stop", "app"], ["stop", "app", "--force"], ["delete", "app"], ["kill"]])
def test_an_app_of_another_version_can_be_ended(fastlb: Fastlb, supervisor: Process, command: list[str]) -> None:
    result = fastlb.cli(*command, timeout=20)
    assert result.returncode == 0, result.stderr
    assert "did not answer" not in result.stdout + result.stderr
    assert supervisor.wait(scaled(5)) in (0, -signal.SIGQUIT if "--force" in command else -signal.SIGTERM)
