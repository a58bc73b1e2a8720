"""Entry of a Python worker: `python -m fastlb.worker LIFECYCLE_FD`. Only the supervisor starts it.

Reads its configuration, loads the app, serves it until it is drained or told to stop. Exit codes: 0 after an
asked-for end, EXIT_STARTUP_FAILED when it never served. Imports what the app's interface needs, and only that.
A second argument, CONFIG_FD, is fresh_start's: the configuration is there, and the app is imported inside the loop.
"""

import asyncio
import faulthandler
import os
import sys
from collections.abc import Callable
from functools import partial

from fastlb.worker.orphan_guard import start_orphan_guard

from .actions.channel import start_action_thread
from .app_loader import AppLoadError, LoadedApp, load_app
from .fork_guard import ForkGuard
from .fresh_start import FreshStart, has_current_loop, read_config, wants_loop
from .lifecycle_channel import LifecycleChannel, OtherRelease
from .standard_descriptors import fill_standard_descriptors
from .wire import EXIT_STARTUP_FAILED, StartupFailed, WorkerConfig
from .worker_log import LogConfigError, configure_logging, enable_loggers, print_line_by_line

OTHER_RELEASE = (
    "fastlb was updated since this app was started, and its supervisor still is the old one:"
    " stop and start the app (`fastlb stop`, `fastlb start`)"
)
Loader = Callable[[WorkerConfig, asyncio.Runner], LoadedApp]


def main(arguments: list[str]) -> int:
    """Run the worker; return its exit code."""
    faulthandler.enable()  # SIGABRT of the supervisor: the stacks of a hung worker belong into its log
    lifecycle = LifecycleChannel(int(arguments[1]))
    is_second_try = len(arguments) > 2
    try:
        config = read_config(int(arguments[2])) if is_second_try else lifecycle.read_config()
    except OtherRelease:
        return refuse_to_start(lifecycle, StartupFailed(OTHER_RELEASE))
    inherited = (lifecycle.fileno(), config.channel_fd, config.page_fd, config.wakeup_fd, config.lifeline_fd)
    for fd in inherited:
        os.set_inheritable(fd, False)
    # The guard's poll keeps open what it watches, so it has a pipe of its own: a worker that closes its lifecycle
    # channel must be seen to have done so.
    start_orphan_guard(config.lifeline_fd)
    start_action_thread(config.lifeline_fd)
    guard = ForkGuard(inherited)
    guard.install()
    print_line_by_line()
    try:
        configure_logging(config)
        check_tls(config)
    except (LogConfigError, AppLoadError) as error:
        return refuse_to_start(lifecycle, StartupFailed(str(error), usage=True))
    load = load_in_loop if is_second_try else partial(load_without_loop, FreshStart(inherited))
    try:
        return run_app(config, lifecycle, guard, load)
    except AppLoadError as error:
        return refuse_to_start(lifecycle, StartupFailed(error.reason, error.traceback, error.usage))


def check_tls(config: WorkerConfig) -> None:
    """Find out before the app is imported whether TLS can be spoken as the settings say. Raises AppLoadError."""
    if config.ssl_certfile or config.ssl_keyfile or config.ssl_ca_certs or config.ssl_cert_reqs:
        from .tls import TlsError, create_ssl_context

        try:
            create_ssl_context(config)
        except TlsError as error:
            raise AppLoadError(str(error), usage=True) from None


def refuse_to_start(lifecycle: LifecycleChannel, failure: StartupFailed) -> int:
    """Say why, in the output and to the supervisor; return the exit code."""
    print(failure.traceback or f"fastlb: {failure.reason}", file=sys.stderr, flush=True)
    lifecycle.report(failure)
    return EXIT_STARTUP_FAILED


def run_app(config: WorkerConfig, lifecycle: LifecycleChannel, guard: ForkGuard, load: Loader) -> int:
    """Load the app with `load` and serve it; return the exit code. Raises AppLoadError."""
    with asyncio.Runner(loop_factory=loop_factory(config.loop)) as runner:
        # Made and run once now: its parts are the system's own, whatever the app replaces at its import.
        runner.run(asyncio.sleep(0))
        loaded = load(config, runner)
        enable_loggers()
        fill_standard_descriptors()
        if loaded.interface == "asgi":
            from .asgi.server import serve_asgi

            return serve_asgi(loaded.app, config, lifecycle, runner, guard)
    from .wsgi.server import serve_wsgi

    return serve_wsgi(loaded.app, config, lifecycle, guard)


def load_without_loop(fresh_start: FreshStart, config: WorkerConfig, _runner: asyncio.Runner) -> LoadedApp:
    """Load the app while no loop runs; start again when it wants one. Raises AppLoadError."""
    try:
        loaded = load_app(config)
    except AppLoadError as error:
        if wants_loop(error.origin):
            fresh_start.again(config)
        raise
    if loaded.interface == "asgi" and has_current_loop():
        # The app has asked for the current loop, and got one that will not be the one that serves it.
        fresh_start.again(config)
    return loaded


def load_in_loop(config: WorkerConfig, runner: asyncio.Runner) -> LoadedApp:
    """Load the app while the loop runs. Raises AppLoadError."""

    async def load() -> LoadedApp:
        return load_app(config)

    return runner.run(load())


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the event loop `name`: "asyncio" is the standard one, all else uvloop."""
    if name == "asyncio":
        return asyncio.SelectorEventLoop
    import uvloop

    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main(sys.argv))
