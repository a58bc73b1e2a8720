"""The supervisor process of one app: `python -m fastlb.supervisor REQUEST_FD REPORT_FD NAME`.

Owns the order in which the process takes hold of things outside (home, lock, log, limits, listeners) and
gives them back. Whatever fails on the way is reported, and leaves nothing behind. The umask is the caller's, as
the workers inherit it: every file of ours is made with a mode of its own.
"""

import contextlib
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import uvloop

from .app_resources import AppResources
from .errors import EXIT_FAILURE, FastlbError, StartStopped
from .home.paths import AppPaths
from .kinds import traits_of
from .launch.messages import LaunchRequest, read_request
from .launch.reporter import Reporter
from .output.event_file import EventFile
from .output.event_log import EventLog
from .output.supervisor_lines import json_event, json_words
from .output.terminal import TerminalOutput
from .output.worker_output import WorkerOutput
from .processes.environment import given_environment
from .processes.held_signals import hold_signals
from .processes.oom_score import lower_own_score, set_score
from .processes.reaper import become_subreaper
from .processes.resource_limits import check_limits, raise_descriptor_limit
from .service.manager import ServiceManager, take_service_manager
from .settings.secret_values import SecretValues
from .signals import outlive_harmless_signals
from .sockets.listeners import BoundListener, backlog_warning, bind_all, close_all
from .succession.tenure import Tenure, adopt_listeners, claim
from .supervision import Supervision


def main(argv: list[str]) -> int:
    """Run the app that the request describes; return the exit code."""
    hold_signals()
    outlive_harmless_signals()
    reporter = Reporter(int(argv[2]))
    try:
        return run(read_request(int(argv[1])), reporter)
    except StartStopped as error:
        return reporter.stopped(error)
    except FastlbError as error:
        reporter.failed(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - whoever launched us must learn of a bug, too
        reporter.failed(FastlbError(f"the supervisor failed: {error!r}", details=traceback.format_exc()))
        return EXIT_FAILURE


def run(request: LaunchRequest, reporter: Reporter) -> int:
    """Take hold of everything outside, run the app to its end, give everything back; return the exit code.

    Raises:
        FastlbError: it did not start.
    """
    foreground = request.foreground
    paths = AppPaths(Path(request.home), request.config.name, is_kept=foreground is None)
    with contextlib.ExitStack() as stack:
        tenure = stack.enter_context(claimed(paths, request))
        terminal = stack.enter_context(contextlib.closing(TerminalOutput(foreground.prefix))) if foreground else None
        log = stack.enter_context(contextlib.closing(opened_log(request, paths, terminal)))
        log.hide = reporter.hide = SecretValues(request.config.env).hide
        if foreground and foreground.as_json:
            reporter.shown = partial(json_words, paths.name)
        raise_descriptor_limit()
        manager = stack.enter_context(service_manager(request))
        if request.succession and request.succession.oom_score is not None:
            set_score(os.getpid(), request.succession.oom_score)  # that of our predecessor was lowered already
        worker_oom_score = lower_own_score()
        check_limits(request.config.workers)
        listeners = stack.enter_context(listening(request, log))
        tenure.listeners = listeners
        log.info("supervisor_started", pid=os.getpid(), binds=",".join(bound.address for bound in listeners))
        resources = AppResources(
            paths=paths,
            log=log,
            listeners=listeners,
            tenure=tenure,
            terminal=terminal,
            worker_oom_score=worker_oom_score,
            origins=request.origins,
            adopts_orphans=become_subreaper(),
            service_manager=manager,
            restarts_on_change=foreground is not None and foreground.restarts_on_change,
            environment=given_environment(),
        )
        return uvloop.run(supervise(request, reporter, resources))


@contextlib.contextmanager
def claimed(paths: AppPaths, request: LaunchRequest) -> Iterator[Tenure]:
    """Hold the app's lock, which the starter has taken; forget the app if it was never to be remembered."""
    tenure = claim(request)
    try:
        yield tenure
    finally:
        # The lock is held to the very end of the process: who gets it next finds nothing of us.
        if tenure.is_ours and not paths.config.exists():
            paths.remove()
        if tenure.is_ours and request.foreground and request.foreground.temporary_home:
            shutil.rmtree(paths.home, ignore_errors=True)


def has_files(request: LaunchRequest) -> bool:
    """Whether output and events go to files: in the foreground only when that was asked for."""
    return request.foreground is None or request.foreground.log_files


def opened_log(request: LaunchRequest, paths: AppPaths, terminal: TerminalOutput | None) -> EventLog:
    """Return the supervisor's log; in the foreground the terminal shows it as well.

    Raises:
        FastlbError: the file cannot be opened.
    """
    echo = supervisor_echo(request, terminal) if terminal and request.foreground else None
    if not has_files(request):
        return EventLog(None, echo)
    return EventLog(paths.supervisor_log, echo, EventFile(paths.events, paths.name))


def supervisor_echo(request: LaunchRequest, terminal: TerminalOutput) -> Callable[[bytes], None]:
    """Return what shows a line of the supervisor's log on the terminal."""
    assert request.foreground
    name = request.config.name
    if request.foreground.as_json:
        return lambda line: terminal.show("err", b"", json_event(name, line))
    label = f"fastlb|{name} | " if request.foreground.has_company else "fastlb | "
    return partial(terminal.show, "err", label.encode())


@contextlib.contextmanager
def service_manager(request: LaunchRequest) -> Iterator[ServiceManager | None]:
    """Hold the channel to whoever runs us as a service; to a process in the background nobody has spoken."""
    manager = take_service_manager(os.environ, os.getpid())
    try:
        yield manager if request.foreground else None
    finally:
        if manager:
            manager.close()


@contextlib.contextmanager
def listening(request: LaunchRequest, log: EventLog) -> Iterator[list[BoundListener]]:
    """Hold the listening sockets until the end of the context.

    Raises:
        FastlbError: one cannot be bound.
    """
    if request.succession:
        listeners = adopt_listeners(request)
    else:
        listeners = bind_all(request.config, request.systemd_fds, traits_of(request.config).default_bind)
    for variable in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(variable, None)  # they were meant for us: sd_listen_fds(3)
    try:
        warning = backlog_warning(request.config)
        if warning:
            log.warning("backlog_cut", reason=warning)
        yield listeners
    finally:
        close_all(listeners)


async def supervise(request: LaunchRequest, reporter: Reporter, resources: AppResources) -> int:
    """Run the app on the event loop, to its end; return the exit code.

    Raises:
        FastlbError: the app did not start.
    """
    output = WorkerOutput(
        request.config, resources.paths, resources.log, resources.terminal, has_files=has_files(request)
    )
    with contextlib.closing(output):
        return await Supervision(request.config, resources, output, reporter, wait=request.wait).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
