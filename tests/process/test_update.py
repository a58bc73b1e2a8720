"""`fastlb update`: another supervisor takes the place of the one that runs an app, which goes on serving."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.client import Connection
from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.notify_listener import NotifyListener
from tests.support.two_versions import Installations
from tests.support.waiting import scaled, wait_until

OLD, NEW = "0.0.1", "0.0.2"
GOOD = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
"""


@pytest.fixture
def installed(fastlb: Fastlb) -> Installations:
    """Two versions, of which the old one is installed for every command."""
    installations = Installations(fastlb.directory)
    for version in (OLD, NEW):
        installations.add(version)
    installations.install(OLD)
    fastlb.env |= installations.env
    return installations


def operations(app: App) -> list[tuple[str, str]]:
    return [(each["operation"], each["state"]) for each in app.entry()["operations"]]


def who_runs(app: App) -> tuple[int, list[int]]:
    return app.supervisor_pid, app.worker_pids


def test_a_new_version_and_the_old_one_again_run_an_app_that_goes_on_serving(
    fastlb: Fastlb, installed: Installations
) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    before = who_runs(app)
    installed.install(NEW)
    assert f"app is run by fastlb {OLD}: `fastlb update app` has it run by {NEW}" in fastlb.ok("list").stdout
    marker = fastlb.directory / "marker"
    with Connection(app.address, scaled(20)) as slow, LoadProcess(Plan(address=app.address)) as load:
        slow.send(f"/until?{marker}")
        wait_until(lambda: fastlb.requests_begun_and_ended()[0] > 0, "the slow request has begun")
        load.wait_for(200)
        assert f"fastlb {NEW} runs it, {OLD} finishes what it has" in app.ok("update").stdout
        assert app.entry()["version"] == NEW
        load.wait_for(200)
        assert before[0] in fastlb.pids, "it has not finished"
        marker.touch()
        assert slow.receive().status == 200
    assert load.report.failed == 0, load.report.summary()
    wait_until(lambda: not {before[0], *before[1]} & set(fastlb.pids), "the old ones have ended")
    assert not set(before[1]) & set(app.worker_pids)
    assert len(app.worker_pids) == 2
    assert "is run by" not in fastlb.ok("list").stdout

    installed.install(OLD)
    app.ok("update")
    assert app.entry()["version"] == OLD
    assert app.get().status == 200
    app.ok("reload")
    app.ok("restart")


def test_an_app_that_does_not_start_any_more_goes_on_as_it_was(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "release.py").write_text(GOOD)
    bind = f"unix:{fastlb.directory}/app.sock"
    started = fastlb.cli("start", "release:app", "--name", "app", "--bind", bind, "--settle", "0.1", cwd=tmp_path)
    assert started.returncode == 0, started.stderr
    app = fastlb.app()
    before = who_runs(app)
    (tmp_path / "release.py").write_text("raise RuntimeError('no good')")
    result = fastlb.cli("update", "app")
    fastlb.allow_in_logs("Traceback")
    assert result.returncode == 1
    assert "no good" in result.stderr
    assert who_runs(app) == before
    assert app.get().status == 200
    (tmp_path / "release.py").write_text(GOOD)
    app.ok("update")
    assert app.supervisor_pid != before[0]
    wait_until(lambda: before[0] not in fastlb.pids, "the old one has ended")
    assert app.get().status == 200, "the file of the socket stays"
    app.ok("stop")
    assert not (fastlb.directory / "app.sock").exists()


def test_what_waits_for_an_update_is_not_done_by_the_one_that_has_given_over(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "release.py").write_text(GOOD)
    started = fastlb.cli("start", "release:app", "--name", "app", "--bind", "127.0.0.1:0", cwd=tmp_path)
    assert started.returncode == 0, started.stderr
    app = fastlb.app()
    old = app.supervisor_pid
    os.mkfifo(tmp_path / "gate")
    (tmp_path / "release.py").write_text(f"open({str(tmp_path / 'gate')!r}).close()\n{GOOD}")
    update = fastlb.popen("update", "app")
    wait_until(lambda: ("update", "runs") in operations(app), "the new one starts")
    change = fastlb.popen("set", "app", "reload_parallel=7")
    wait_until(lambda: ("set", "waits") in operations(app), "the change waits")
    (tmp_path / "gate").write_text("")  # somebody reads it by then, or will
    assert update.wait(timeout=scaled(20)) == 0
    assert change.wait(timeout=scaled(20)) == 1, "nobody would know of it"
    wait_until(lambda: old not in fastlb.pids, "the old one has ended")
    app.ok("set", "reload_parallel=7")


def test_one_that_has_taken_over_goes_on_when_the_settings_cannot_be_saved(fastlb: Fastlb) -> None:
    bind = f"unix:{fastlb.directory}/app.sock"
    app = fastlb.start("asgi_probe:app", "--bind", bind)
    old = app.supervisor_pid
    stored = fastlb.home / "apps" / "app" / "config.json"
    stored.unlink()
    stored.mkdir()
    app.ok("update")
    assert app.supervisor_pid != old
    wait_until(lambda: old not in fastlb.pids, "the old one has ended")
    assert app.get().status == 200
    fastlb.allow_in_logs("settings_not_saved")
    stored.rmdir()


@pytest.mark.parametrize("updates", [1, 2])
def test_what_the_old_ones_still_finish_ends_with_the_app(fastlb: Fastlb, updates: int) -> None:
    app = fastlb.start("asgi_probe:app")
    old = app.supervisor_pid
    with Connection(app.address, scaled(20)) as slow:
        slow.send(f"/until?{fastlb.directory / 'never'}")
        wait_until(lambda: fastlb.requests_begun_and_ended()[0] > 0, "the slow request has begun")
        for _ in range(updates):
            app.ok("update")
        assert old in fastlb.pids
        stopping = fastlb.popen("stop", "app")
        wait_until(lambda: app.entry()["status"] == "stopping", "the stop is under way")
        assert old in fastlb.pids, "it may finish, as it may by any stop"
        app.ok("stop", "--force")
        assert stopping.wait(timeout=scaled(20)) == 0
    assert fastlb.pids == []


@contextmanager
def service(fastlb: Fastlb) -> Iterator[tuple[NotifyListener, subprocess.Popen[str]]]:
    """Run an app as a service whose manager listens to its main process alone."""
    with NotifyListener(fastlb.directory / "notify") as manager:
        env = {**fastlb.env, **manager.env(watchdog_seconds=2.0)}
        run = ("run", "asgi_probe:app", "--name", "app", "--bind", "127.0.0.1:0", "--log-files")
        process = fastlb.popen(*run, env=env)
        manager.main_pid = process.pid
        manager.hear("READY=1")
        yield manager, process
        manager.hear_all()
        manager.hear("WATCHDOG=1")
        fastlb.app().ok("stop")
        manager.hear("STOPPING=1")


def test_a_service_stays_the_same_with_another_main_process(fastlb: Fastlb) -> None:
    with service(fastlb) as (manager, process):
        app = fastlb.app()
        app.ok("update")
        new = app.supervisor_pid
        assert new != process.pid
        assert manager.hear("MAINPID=") == ["READY=1", f"MAINPID={new}"]
        assert manager.main_pid == new
        assert process.wait(timeout=scaled(20)) == 0
        assert app.get().status == 200


def test_a_service_whose_next_main_process_dies_keeps_the_one_before(fastlb: Fastlb, installed: Installations) -> None:
    with service(fastlb) as (manager, process):
        install_one_that_dies(fastlb, installed)
        assert fastlb.cli("update", "app").returncode == 1
        assert manager.main_pid == process.pid
    assert process.wait(timeout=scaled(20)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("sleep", "--fork", "--", "1000"), "it opens its ports itself"),
        (("asgi_probe:app", "--bind", "127.0.0.1:0"), "it runs in the foreground"),
    ],
)
def test_what_cannot_be_replaced_goes_on(fastlb: Fastlb, options: tuple[str, ...], message: str) -> None:
    process: subprocess.Popen[str] | None = None
    if "foreground" in message:
        process = fastlb.popen("run", "--name", "app", *options)
        wait_until(lambda: [e for e in fastlb.list_json() if e["status"] == "online"], "it is online", 20)
    else:
        fastlb.ok("start", "--name", "app", "--settle", "0.1", *options)
    app = fastlb.app()
    before = app.supervisor_pid
    result = fastlb.cli("update", "app")
    assert result.returncode == 1
    assert message in result.stderr
    assert app.supervisor_pid == before
    assert processes.is_running(before)
    if process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=scaled(20)) == 0


def install_one_that(fastlb: Fastlb, installed: Installations, line: str, *lines: str) -> None:
    """Install a version whose supervisor does something behind `line`."""
    code = fastlb.directory / NEW / "fastlb" / "supervisor" / "supervision.py"
    assert f"{line}\n" in code.read_text()
    code.write_text(code.read_text().replace(f"{line}\n", "\n".join((line, *lines, ""))))
    installed.install(NEW)


def install_one_that_dies(fastlb: Fastlb, installed: Installations) -> None:
    """Install a version whose supervisor dies when it takes over."""
    begins, dies = "        self._resources.tenure.begin()", "        os.kill(os.getpid(), signal.SIGKILL)"
    install_one_that(fastlb, installed, begins, dies)


def staying_for(seconds: int) -> str:
    """Return a line by which a supervisor does nothing for so long."""
    return f"await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout={seconds})"


def is_answered(path: Path) -> bool:
    """Whether metrics are served at a unix socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(scaled(5))
        try:
            sock.connect(str(path))
            sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            return sock.recv(12).endswith(b" 200")
        except OSError:
            return False


def test_one_that_was_told_to_take_over_and_does_not_is_not_waited_for(
    fastlb: Fastlb, installed: Installations
) -> None:
    """It may have begun, and two would run the app."""
    metrics, marker = fastlb.directory / "metrics.sock", fastlb.directory / "marker"
    app = fastlb.start("asgi_probe:app", "--metrics-bind", f"unix:{metrics}")
    before = who_runs(app)
    begins = "        self._resources.tenure.begin()"
    says_no = '        self._reporter.failed(FastlbError("not now"))'
    stays = (f"        {staying_for(5)}", f"        open({str(marker)!r}, 'x').close()")
    install_one_that(fastlb, installed, begins, says_no, *stays)
    result = fastlb.cli("update", "app")
    assert (result.returncode, "not now" in result.stderr, marker.exists()) == (1, True, False)
    assert (who_runs(app), is_answered(metrics)) == (before, True)
    app.ok("reload")


def test_one_that_takes_its_time_to_give_up_keeps_nothing_from_going_on(
    fastlb: Fastlb, installed: Installations, tmp_path: Path
) -> None:
    (tmp_path / "release.py").write_text(GOOD)
    metrics, gate, waits = fastlb.directory / "metrics.sock", tmp_path / "gate", fastlb.directory / "waits"
    options = ("--name", "app", "--bind", "127.0.0.1:0", "--metrics-bind", f"unix:{metrics}")
    assert fastlb.cli("start", "release:app", *options, cwd=tmp_path).returncode == 0
    app = fastlb.app()
    old = app.supervisor_pid
    not_told = "        if not await self._reporter.may_take_over():"
    stays = (f"            os.symlink(str(os.getpid()), {str(waits)!r})", f"            {staying_for(600)}")
    install_one_that(fastlb, installed, not_told, *stays)
    os.mkfifo(gate)
    (tmp_path / "release.py").write_text(f"open({str(gate)!r}).close()\n{GOOD}")
    update = fastlb.popen("update", "app")
    wait_until(lambda: ("update", "runs") in operations(app), "the new one starts")
    gate_end = open_for_writing(gate)
    limits = resource.prlimit(old, resource.RLIMIT_FSIZE)
    resource.prlimit(old, resource.RLIMIT_FSIZE, (0, limits[1]))  # what it knows cannot be passed on
    os.close(gate_end)
    wait_until(waits.is_symlink, "the new one gives up")
    resource.prlimit(old, resource.RLIMIT_FSIZE, limits)
    wait_until(lambda: is_answered(metrics), "metrics are served again")
    assert processes.is_running(int(os.readlink(waits)))
    assert update.wait(timeout=scaled(30)) == 1
    assert app.supervisor_pid == old
    fastlb.allow_in_logs("see `ulimit -f`")


def open_for_writing(fifo: Path) -> int:
    """Open a FIFO that somebody reads, or will."""
    ends: list[int] = []

    def is_read() -> bool:
        with contextlib.suppress(OSError):
            ends.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        return bool(ends)

    wait_until(is_read, "somebody reads")
    return ends[0]


def test_one_that_dies_when_it_takes_over_leaves_the_app_to_the_one_before(
    fastlb: Fastlb, installed: Installations
) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    before = who_runs(app)
    install_one_that_dies(fastlb, installed)
    result = fastlb.cli("update", "app")
    assert result.returncode == 1
    assert "died without a word" in result.stderr
    assert who_runs(app) == before
    assert app.get().status == 200
    app.ok("reload")
    app.ok("stop")
