"""Entry of a Python worker: `python -m fastlb.worker LIFECYCLE_FD`. Only the supervisor starts it.

Reads its configuration, loads the app, serves it until it is drained or told to stop. Exit codes: 0 after an
asked-for end, EXIT_STARTUP_FAILED when it never served. Imports what the app's interface needs, and only that.
"""

import asyncio
import faulthandler
import os
import sys
from collections.abc import Callable

from fastlb.worker.orphan_guard import start_orphan_guard

from .app_loader import AppLoadError, LoadedApp, load_app
from .fork_guard import ForkGuard
from .lifecycle_channel import LifecycleChannel
from .wire import EXIT_STARTUP_FAILED, StartupFailed, WorkerConfig
from .worker_log import configure_logging


def main(arguments: list[str]) -> int:
    """Run the worker; return its exit code."""
    faulthandler.enable()  # SIGABRT of the supervisor: the stacks of a hung worker belong into its log
    lifecycle = LifecycleChannel(int(arguments[1]))
    config = lifecycle.read_config()
    inherited = (lifecycle.fileno(), config.channel_fd, config.page_fd, config.wakeup_fd)
    for fd in inherited:
        os.set_inheritable(fd, False)
    start_orphan_guard(lifecycle.fileno(), config.kill_timeout)
    guard = ForkGuard(inherited)
    guard.install()
    configure_logging(config.log_level)
    return run_app(config, lifecycle, guard)


def run_app(config: WorkerConfig, lifecycle: LifecycleChannel, guard: ForkGuard) -> int:
    """Load and serve the app; return the exit code."""
    with asyncio.Runner(loop_factory=loop_factory(config.loop)) as runner:
        try:
            loaded = runner.run(load_in_loop(config))
        except AppLoadError as error:
            print(error.traceback or f"fastlb: {error.reason}", file=sys.stderr, flush=True)
            lifecycle.report(StartupFailed(error.reason, error.traceback, error.usage))
            return EXIT_STARTUP_FAILED
        if loaded.interface == "asgi":
            from .asgi.server import serve_asgi

            return serve_asgi(loaded.app, config, lifecycle, runner, guard)
    from .wsgi.server import serve_wsgi

    return serve_wsgi(loaded.app, config, lifecycle, guard)


async def load_in_loop(config: WorkerConfig) -> LoadedApp:
    """Load the app while the loop runs: some ask for the running loop at import, and uvicorn lets them."""
    return load_app(config)


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the event loop `name`: "asyncio" is the standard one, all else uvloop."""
    if name == "asyncio":
        return asyncio.SelectorEventLoop
    import uvloop

    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main(sys.argv))
