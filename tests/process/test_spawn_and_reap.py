"""How processes of ours begin and end: descriptors, groups, exit codes, errors."""

import asyncio
import ctypes
import fcntl
import json
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from fastlb.supervisor.processes.reaper import ExitStatus, Reaper, kill_group, send_signal
from fastlb.supervisor.processes.spawn import SpawnedProcess, SpawnError, SpawnPlan, spawn

from tests.support import processes
from tests.support.waiting import let_run_until, scaled, wait_until

PR_SET_CHILD_SUBREAPER = 36
PROGRAM = sys.executable

uvloop.new_event_loop().close()  # libuv keeps a pipe from the first loop on


def python(source: str, *fds: int) -> SpawnPlan:
    """A plan that runs `source`."""
    return SpawnPlan([PROGRAM, "-c", source], pass_fds={fd: fd for fd in fds})


async def exit_of(process: SpawnedProcess, before: Callable[[], None] = lambda: None) -> ExitStatus:
    """Reap it; `before` runs while it is watched."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[ExitStatus] = loop.create_future()
    Reaper(loop).watch(process.pid, process.pidfd, ended.set_result)
    before()
    try:
        async with asyncio.timeout(scaled(10)):
            return await ended
    finally:
        os.close(process.pidfd)


def run(work: Awaitable[ExitStatus]) -> ExitStatus:
    async def main() -> ExitStatus:
        return await work

    return uvloop.run(main())


def test_child_inherits_what_it_is_given_and_nothing_else(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    secret = os.open("/dev/null", os.O_RDONLY)
    given, writer = os.pipe()
    source = (
        "import os, json; fds = json.dumps(os.listdir('/proc/self/fd'));"
        f"open({str(seen)!r}, 'w').write(fds)"
    )
    assert run(exit_of(spawn(python(source, given)))) == ExitStatus(0, None)
    fds = {int(fd) for fd in json.loads(seen.read_text())}
    assert {0, 1, 2, given} <= fds
    assert len(fds - {0, 1, 2, given}) <= 1, "the one of the listing itself"
    assert secret not in fds
    for fd in (secret, given, writer):
        os.close(fd)


def test_descriptors_have_the_numbers_that_were_asked_for(tmp_path: Path) -> None:
    """Also when a number there is that of another one here, or the same."""
    seen = tmp_path / "seen"
    files = [os.open(tmp_path / name, os.O_CREAT | os.O_RDONLY, 0o600) for name in "abc"]
    a, b, c = files
    wanted = {a: b, b: a, c: c, 3: a}
    source = (
        "import os, json; links = {int(fd): os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')"
        f" if os.path.exists(f'/proc/self/fd/{{fd}}')}}; open({str(seen)!r}, 'w').write(json.dumps(links))"
    )
    plan = SpawnPlan([PROGRAM, "-c", source], pass_fds=wanted)
    assert run(exit_of(spawn(plan))) == ExitStatus(0, None)
    links = {int(fd): Path(link).name for fd, link in json.loads(seen.read_text()).items()}
    assert {number: links[number] for number in wanted} == {a: "b", b: "a", c: "c", 3: "a"}
    assert not any(os.get_inheritable(fd) for fd in files), "here nothing has changed"
    for fd in files:
        os.close(fd)


def test_descriptor_below_the_limit_is_passed_on_where_none_is_free_above_it() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = os.open("/dev/null", os.O_RDONLY)
    high = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 60)
    resource.setrlimit(resource.RLIMIT_NOFILE, (high + 1, before[1]))
    try:
        process = spawn(python(f"import os; os.fstat({high})", high))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert run(exit_of(process)) == ExitStatus(0, None)
    for fd in (low, high):
        os.close(fd)


def test_program_is_found_on_the_path_of_its_environment(tmp_path: Path) -> None:
    script = tmp_path / "program-of-a-test"
    script.write_text("#!/bin/sh\nexit 3\n")
    script.chmod(0o755)
    plan = SpawnPlan([script.name], {}, env={"PATH": str(tmp_path)})
    assert run(exit_of(spawn(plan))) == ExitStatus(3, None)
    with pytest.raises(SpawnError, match=script.name):
        spawn(SpawnPlan([script.name], {}, cwd=str(tmp_path)))


def test_nothing_that_is_inheritable_here_goes_along(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    file = os.open(tmp_path / "file", os.O_CREAT | os.O_RDONLY, 0o600)
    os.set_inheritable(file, True)
    source = f"import os; open({str(seen)!r}, 'w').write(str(os.path.exists('/proc/self/fd/{file}')))"
    assert run(exit_of(spawn(python(source)))) == ExitStatus(0, None)
    assert seen.read_text() == "False"
    os.close(file)


def test_working_directory_of_a_child_is_not_ours(tmp_path: Path) -> None:
    before = os.getcwd()
    plan = SpawnPlan([PROGRAM, "-c", "open('seen', 'w').close()"], {}, cwd=str(tmp_path))
    assert run(exit_of(spawn(plan))) == ExitStatus(0, None)
    assert (tmp_path / "seen").exists()
    assert os.getcwd() == before


@pytest.mark.parametrize("name", ["SIGPIPE", "SIGXFSZ"])
def test_signals_that_python_ignores_end_a_child(name: str) -> None:
    assert signal.getsignal(getattr(signal, name)) == signal.SIG_IGN
    plan = SpawnPlan(["/bin/sh", "-c", f"kill -{name.removeprefix('SIG')} $$; exit 3"], {})
    assert run(exit_of(spawn(plan))) == ExitStatus(None, getattr(signal, name))


@pytest.mark.parametrize(
    ("source", "phrase"),
    [
        ("raise SystemExit(3)", "exited with code 3"),
        ("import os; os.kill(os.getpid(), 11)", "killed by SIGSEGV"),
        ("import os; os.kill(os.getpid(), 35)", "killed by SIGRTMIN+1"),
    ],
)
def test_end_is_told_in_words(source: str, phrase: str) -> None:
    assert str(run(exit_of(spawn(python(source))))) == phrase


def test_group_of_a_leader_that_exits_is_killed_before_it_is_reaped(tmp_path: Path) -> None:
    pidfile = tmp_path / "child"
    source = (
        "import subprocess; child = subprocess.Popen(['sleep', '300'], stdin=subprocess.DEVNULL);"
        f"open({str(pidfile)!r}, 'w').write(str(child.pid)); child.returncode = 0"
    )
    run(exit_of(spawn(python(source))))
    child = int(pidfile.read_text())
    wait_until(lambda: not processes.is_running(child), "its child is killed")


def test_signals_to_a_process_that_has_exited_are_no_error() -> None:
    process = spawn(python("pass"))

    def signal_again() -> None:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        send_signal(process.pidfd, "SIGTERM")
        kill_group(process.pid, process.pidfd)

    assert run(exit_of(process, signal_again)) == ExitStatus(0, None)


def test_stopped_group_is_killed() -> None:
    process = spawn(python("import signal; signal.pause()"))
    os.kill(process.pid, signal.SIGSTOP)
    status = run(exit_of(process, lambda: kill_group(process.pid, process.pidfd)))
    assert status == ExitStatus(None, signal.SIGKILL)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (SpawnPlan(["/no/such/program"], {}), "/no/such/program"),
        (SpawnPlan([PROGRAM], {}, cwd="/no/such/directory"), "/no/such/directory"),
        (SpawnPlan([PROGRAM, "x" * 200_000], {}), "too large"),
        (SpawnPlan(["/etc/passwd"], {}), "Permission denied"),
    ],
)
def test_impossible_start_says_what_is_wrong(plan: SpawnPlan, words: str) -> None:
    with pytest.raises(SpawnError, match=words):
        spawn(plan)


@pytest.fixture
def _subreaper() -> Iterator[None]:
    """This process inherits orphans, as process 1 does."""
    libc = ctypes.CDLL(None)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@pytest.mark.usefixtures("_subreaper")
def test_orphans_are_collected_and_watched_children_are_left_to_their_watcher() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        reaper = Reaper(loop, adopts_orphans=True)
        ended: list[ExitStatus] = []
        source = "import os; os.fork() or (os.setsid(), os.fork())"
        process = spawn(python(source))
        reaper.watch(process.pid, process.pidfd, ended.append)

        def is_collected() -> bool:
            reaper.collect_orphans()
            return bool(ended) and not processes.children(os.getpid())

        await let_run_until(is_collected, "no child is left")
        assert ended == [ExitStatus(0, None)]
        os.close(process.pidfd)

    uvloop.run(scenario())
