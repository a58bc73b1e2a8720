"""Owns how a supervisor process is started: detached from the shell, or in its place. Runs in the user's shell.

Imports little. Once the app has started nothing here is used any more: that is what the control socket is for.
"""

import contextlib
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn, Self

import msgspec

from ..errors import FastlbError
from ..home.app_lock import AppLock
from ..home.paths import AppPaths, prepare_app_dir, prepare_home
from ..home.stopped_workers import load_stopped
from ..processes.environment import given_environment
from ..processes.held_signals import hold_signals, release_signals
from ..settings.addresses import SYSTEMD_FIRST_FD
from ..settings.app_config import AppConfig
from ..strays.token import without_token
from .messages import (
    NO_REPORT_FD,
    FailedReport,
    Foreground,
    LaunchReport,
    LaunchRequest,
    ProgressReport,
    request_file,
)
from .passed_sockets import systemd_fd_count

if TYPE_CHECKING:
    import subprocess


class LaunchedSupervisor:
    """The starter's view of a supervisor that it started: iterate over its reports, then `close`.

    Closing before StartedReport cancels the start. `pid` is for messages.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", reports: socket.socket) -> None:
        self.pid = process.pid
        self._process = process
        self._reports = reports

    def __iter__(self) -> Iterator[LaunchReport]:
        """Reports until the last one; a supervisor that dies without a word yields a FailedReport.

        After a FailedReport its process has exited.
        """
        with self._reports.makefile("rb") as lines:
            for line in lines:
                report = msgspec.json.decode(line, type=LaunchReport)
                if isinstance(report, FailedReport):
                    self._process.wait()
                yield report
                if not isinstance(report, ProgressReport):
                    return
        yield FailedReport(message=f"the supervisor died during the start ({self._wait()}): see its log")

    def close(self) -> None:
        """Stop listening to the supervisor, which is meant to outlive its starter: nobody waits for it from here on."""
        self._reports.close()
        if self._process.poll() is None:
            self._process.returncode = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self) -> str:
        code = self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def launch_detached(
    config: AppConfig, paths: AppPaths, *, wait: bool = True, origins: Mapping[str, str], stopped: Sequence[int] = ()
) -> LaunchedSupervisor:
    """Start the supervisor of `config` in a session of its own; it keeps directory and environment.

    `wait`, `origins` and `stopped` as in LaunchRequest. Descriptors that `config.bind` names (fd:N), and those passed
    by systemd, go with it.

    Raises:
        FastlbError: the home cannot be used, or the process could not be started.
    """
    with contextlib.ExitStack() as if_failed:
        ours, theirs = socket.socketpair()
        if_failed.enter_context(ours)
        with theirs, _claimed(paths) as lock:
            request = LaunchRequest(
                config=config,
                home=str(paths.home),
                systemd_fds=systemd_fd_count(),
                lock_fd=lock.fileno(),
                wait=wait,
                origins=dict(origins),
                stopped=list(stopped),
            )
            process = _spawn_supervisor(request, paths, theirs)
            lock.release()  # the supervisor has it now
        if_failed.pop_all()
    return LaunchedSupervisor(process, ours)


def _spawn_supervisor(
    request: LaunchRequest, paths: AppPaths, reports: socket.socket
) -> "subprocess.Popen[bytes]":
    """Start the process; it inherits `reports`, its end, and what `request` names."""
    with contextlib.ExitStack() as stack:
        request_fd = request_file(request)
        stack.callback(os.close, request_fd)
        error_fd = _open_error_log(paths)
        stack.callback(os.close, error_fd)
        pass_fds = {request_fd, reports.fileno(), request.lock_fd, *_inherited_fds(request)}
        return _spawn(_command(paths.name, request_fd, reports.fileno()), pass_fds, error_fd)


def exec_foreground(
    config: AppConfig,
    paths: AppPaths,
    foreground: Foreground,
    origins: Mapping[str, str],
    *,
    is_known: bool,
) -> NoReturn:
    """Become the supervisor of `config`, in the foreground: same pid, same terminal, same descriptors.

    `origins` as in LaunchRequest. `is_known`: it is an app that was started before, whose workers that were stopped
    alone stay stopped; so do those of one with files, which is what a boot starts.

    Raises:
        FastlbError: the interpreter could not be executed.
    """
    with _gone_after_a_failure(paths, foreground), _claimed(paths) as lock:
        request = LaunchRequest(
            config=config,
            home=str(paths.home),
            foreground=foreground,
            systemd_fds=systemd_fd_count(),
            lock_fd=lock.fileno(),
            origins=dict(origins),
            stopped=load_stopped(paths) if is_known or foreground.log_files else [],
        )
        request_fd = request_file(request)
        for fd in (request_fd, lock.fileno(), *_inherited_fds(request)):
            with contextlib.suppress(OSError):  # a wrong fd:N is reported where it is used
                os.set_inheritable(fd, True)
        command = _command(config.name, request_fd, NO_REPORT_FD)
        sys.stdout.flush()
        sys.stderr.flush()
        hold_signals()  # the supervisor hears them when it can
        try:
            os.execve(command[0], command, given_environment())
        except OSError as error:
            release_signals()
            raise _not_started(error) from error


def spawn_foreground(
    config: AppConfig, paths: AppPaths, foreground: Foreground, origins: Mapping[str, str]
) -> int:
    """Start the supervisor of `config` as a child that runs in the foreground; return its pid. The caller reaps it.

    It has a process group of its own: what the terminal sends reaches it through the caller alone. `origins` as in
    LaunchRequest.

    Raises:
        FastlbError: it could not be started.
    """
    with _gone_after_a_failure(paths, foreground), _claimed(paths) as lock:
        request = LaunchRequest(
            config=config,
            home=str(paths.home),
            foreground=foreground,
            lock_fd=lock.fileno(),
            origins=dict(origins),
        )
        request_fd = request_file(request)
        try:
            import subprocess

            process = subprocess.Popen(
                _command(config.name, request_fd, NO_REPORT_FD),
                pass_fds=_that_are_open({request_fd, request.lock_fd, *_inherited_fds(request)}),
                env=given_environment(),
                process_group=0,
            )
        except OSError as error:
            raise _not_started(error) from error
        finally:
            os.close(request_fd)
        process.returncode = 0  # the caller waits for it
        lock.release()  # the supervisor has it now
    return process.pid


@contextlib.contextmanager
def _gone_after_a_failure(paths: AppPaths, foreground: Foreground) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if foreground.temporary_home:
            shutil.rmtree(paths.home, ignore_errors=True)
        raise


@contextlib.contextmanager
def _claimed(paths: AppPaths) -> Iterator[AppLock]:
    """Hold the lock of an app from the beginning of its start, so that commands know of it; forget a failed first one.

    Raises:
        FastlbError: the app runs already, or its directory cannot be used.
    """
    prepare_home(paths.home)
    prepare_app_dir(paths)
    lock = AppLock.acquire(paths)
    if lock is None:
        raise FastlbError(
            f"{paths.name} is already running: see `fastlb list`; to start another app choose another --name"
        )
    try:
        yield lock
    except BaseException:
        if not paths.config.exists():
            paths.remove()
        lock.release()
        raise


def _inherited_fds(request: LaunchRequest) -> set[int]:
    named = {int(spec[3:]) for spec in request.config.bind if re.fullmatch(r"fd:[0-9]{1,7}", spec)}
    return named | set(range(SYSTEMD_FIRST_FD, SYSTEMD_FIRST_FD + request.systemd_fds))


def _that_are_open(fds: set[int]) -> list[int]:
    """Leave out a wrong fd:N, which is reported where it is used; a link is looked at, not what it names."""
    return [fd for fd in fds if os.path.lexists(f"/proc/self/fd/{fd}")]


def _command(name: str, request_fd: int, report_fd: int) -> list[str]:
    # The name is for those who read `ps`. -P: a file of the app must not shadow a module of ours.
    return [sys.executable, "-P", "-m", "fastlb.supervisor", str(request_fd), str(report_fd), name]


def _open_error_log(paths: AppPaths) -> int:
    from ..output.line_file import open_log

    try:
        return open_log(paths.supervisor_log)
    except OSError as error:
        raise FastlbError(f"cannot write {paths.supervisor_log}: {error.strerror}") from error


def _spawn(command: list[str], pass_fds: set[int], error_fd: int) -> "subprocess.Popen[bytes]":
    import subprocess

    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=error_fd,
            env=without_token(given_environment()),  # whoever starts it may be a worker, and the app is to outlive that
            pass_fds=_that_are_open(pass_fds),
            start_new_session=True,
        )
    except OSError as error:
        raise _not_started(error) from error


def _not_started(error: OSError) -> FastlbError:
    return FastlbError(f"cannot execute {sys.executable}: {error.strerror}: is the installation whole?")
