"""`fastlb run` as process 1: read-only root, no home, a user that no file knows; one app, or all apps of a file."""

import json
import socket
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.client import Connection, get
from tests.support.container import NOBODYS_UID, Container, is_possible
from tests.support.fastlb_process import APPS, COMMAND
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.ports import free_port
from tests.support.waiting import scaled, wait_until

pytestmark = pytest.mark.skipif(not is_possible(), reason="no namespaces here, or not for this user")

ESTABLISHED = "01"


@pytest.fixture
def address() -> tuple[str, int]:
    return "127.0.0.1", free_port()


def answers(address: tuple[str, int]) -> bool:
    try:
        return get(address).status == 200
    except OSError:
        return False


def has_taken_requests(port: int) -> bool:
    """Whether a process has read all that came on the connections to a port, and there is one: proc_net_tcp(5)."""
    text = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    rows = [line.split() for line in text.splitlines()]
    open_ones = [row for row in rows if row[1].endswith(f":{port:04X}") and row[3] == ESTABLISHED]
    return bool(open_ones) and all(row[9] != "0" and row[4].endswith(":00000000") for row in open_ones)


def readable(path: Path) -> None:
    """Let everybody read a directory of a test."""
    for directory in (path, path.parent, path.parent.parent):
        directory.chmod(0o755)


def test_one_app_serves_as_process_1_and_finishes_what_it_has(address: tuple[str, int], tmp_path: Path) -> None:
    readable(tmp_path)
    environment = {"PORT": str(address[1]), "WEB_CONCURRENCY": "2"}
    with Container(str(COMMAND), "run", "asgi_probe:app", "--settle", "0.1", cwd=APPS, env=environment) as container:
        wait_until(lambda: answers(address), "it serves", 20)
        status = Path(f"/proc/{container.main_pid}/status").read_text()
        assert f"Uid:\t{NOBODYS_UID}" in status
        assert "NSpid:" in status
        assert status.partition("NSpid:")[2].split("\n")[0].split()[-1] == "1"
        with LoadProcess(Plan(address=address)) as load:
            load.wait_for(500)
        assert load.report.failed == 0, load.report.summary()
        below = [processes.command_line(pid) for pid in processes.descendants(container.main_pid)]
        assert sum("fastlb.worker" in words for words in below) == 2
        with Connection(address, scaled(20)) as slow:
            slow.send(f"/until?{tmp_path / 'marker'}")
            wait_until(lambda: has_taken_requests(address[1]), "the request is under way")
            container.ask_to_stop()
            wait_until(lambda: not answers(address), "nobody new is let in")
            (tmp_path / "marker").touch()
            assert slow.receive().status == 200
            code, output = container.join()
    assert code == 0, output
    assert "commands reach this app with FASTLB_HOME=/dev/shm/fastlb-" in output


def test_all_apps_of_a_file_run_in_one_container(address: tuple[str, int], tmp_path: Path) -> None:
    job = {"target": "sh -c '(sleep 0.1 &) ; echo done; : >/dev/shm/said'", "autorestart": False, "settle": "0"}
    web = {"target": "asgi_probe:app", "cwd": str(APPS), "bind": f"127.0.0.1:{address[1]}", "settle": "0.1s"}
    (tmp_path / "fastlb.json").write_text(json.dumps({"apps": {"web": web, "job": job}}))
    readable(tmp_path)
    with Container(str(COMMAND), "run", "--json", "fastlb.json", cwd=tmp_path) as container:
        said = Path(f"/proc/{container.main_pid}/root").joinpath("dev/shm/said")
        wait_until(lambda: answers(address) and said.exists(), "the web app serves, the job is done", 20)
        container.ask_to_stop()
        code, output = container.join()
    assert code == 0, output
    lines = [json.loads(line) for line in output.splitlines()]
    assert {line["app"] for line in lines} == {"web", "job"}
    assert [line["message"] for line in lines if line["app"] == "job" and line["stream"] == "out"] == ["done"]


def test_an_app_that_fails_ends_the_container_with_its_exit_code(address: tuple[str, int], tmp_path: Path) -> None:
    job = {"target": f"sh -c 'while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; exit 7'", "autorestart": False}
    web = {"target": "asgi_probe:app", "cwd": str(APPS), "bind": f"127.0.0.1:{address[1]}", "settle": "0.1s"}
    (tmp_path / "fastlb.json").write_text(json.dumps({"apps": {"web": web, "job": job}}))
    readable(tmp_path)
    with Container(str(COMMAND), "run", "fastlb.json", cwd=tmp_path) as container:
        wait_until(lambda: answers(address), "the web app serves", 20)
        (tmp_path / "go").touch()
        code, output = container.join()
    assert code == 7, output
    assert "fastlb|job | " in output
    assert "0|web | " in output
    assert "worker_exited worker_id=0" in output, "the other one was drained"
    with pytest.raises(ConnectionRefusedError), socket.create_connection(address, scaled(5)):
        pass


