"""`fastlb.worker.on_worker_exit`: the app's hooks run beside its requests, and it is said when they are through."""

import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from tests.support.raw_http import RawClient, get
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, serving_worker

APP = """
import os
from pathlib import Path
from fastlb.worker import on_worker_exit

@on_worker_exit
def first(pid):
    with open("notes", "a") as notes:
        notes.write(f"first {pid}\\n")
    if pid == 7:
        raise ValueError("seven")
    if pid == 8:
        Path("gate").read_text()

on_worker_exit(lambda pid: open("notes", "a").write(f"second {pid}\\n"))

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""


def exited(pid: int) -> bytes:
    return b'{"type":"worker_exited","pid":%d}\n' % pid


def serving(tmp_path: Path) -> AbstractContextManager[WorkerProcess]:
    source = f"import os\nos.chdir({str(tmp_path)!r})\n{APP}"
    return serving_worker(tmp_path, source, interface="wsgi")


def test_all_hooks_are_called_in_order_and_it_is_said(tmp_path: Path) -> None:
    with serving(tmp_path) as worker:
        worker.say(exited(5) + exited(6))
        assert [worker.next_line() for _ in range(2)] == [b'{"type":"exit_handled","pid":%d}\n' % pid for pid in (5, 6)]
    assert (tmp_path / "notes").read_text().split("\n")[:4] == ["first 5", "second 5", "first 6", "second 6"]


def test_hook_that_fails_is_logged_and_keeps_no_other_from_being_called(tmp_path: Path) -> None:
    with serving(tmp_path) as worker:
        worker.say(exited(7))
        assert worker.next_line() == b'{"type":"exit_handled","pid":7}\n'
        assert "ValueError: seven" in worker.read_output()
    assert "second 7" in (tmp_path / "notes").read_text()


def test_hook_that_takes_long_holds_up_no_request(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    with serving(tmp_path) as worker:
        worker.say(exited(8))
        wait_until(lambda: (tmp_path / "notes").exists(), "the hook is called")
        with RawClient(worker.connect()).send(get("/")) as client:
            assert client.response().body == b"hello"
        assert worker.has_said() == b""
        (tmp_path / "gate").write_text("go on")
        assert worker.next_line() == b'{"type":"exit_handled","pid":8}\n'


def test_worker_without_hooks_says_so_at_once(tmp_path: Path) -> None:
    with serving_worker(tmp_path, "def app(environ, start_response): ...", interface="wsgi") as worker:
        worker.say(exited(5))
        assert worker.next_line() == b'{"type":"exit_handled","pid":5}\n'


def test_hook_may_be_registered_outside_of_a_worker() -> None:
    code = "from fastlb.worker import on_worker_exit\nassert on_worker_exit(print) is print"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
