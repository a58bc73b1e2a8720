"""fastlb.worker: code that runs inside a Python worker process, and what an app may call there.

`ready()`, `unready()`, `on_worker_exit()` and `action()` are the app's interface, which apps import anywhere, also
outside of workers: importing this module must import nothing that costs time. The rest of the package serves the app
and runs in workers only; `wire` is imported by the supervisor, too.
"""

from collections.abc import Callable
from typing import Any, TypeVar, overload

Action = TypeVar("Action", bound=Callable[..., Any])
Hook = TypeVar("Hook", bound=Callable[[int], object])


def ready() -> None:
    """Say that this worker can take connections: for the first time with `wait_ready`, or again after `unready()`.

    Any thread may call it.

    Does nothing outside a fastlb worker, so that the app also runs elsewhere.
    """
    from .lifecycle_channel import channel_of_this_process

    channel = channel_of_this_process()
    if channel is not None:
        channel.say_ready()


def unready() -> None:
    """Say that this worker is to get no connections until it calls `ready()` again. Any thread may call it.

    Connections that it has go on. Does nothing outside a fastlb worker.
    """
    from .lifecycle_channel import channel_of_this_process

    channel = channel_of_this_process()
    if channel is not None:
        channel.say_unready()


def on_worker_exit(hook: Hook) -> Hook:
    """Have `hook(pid)` called after the process of another worker of this app has ended; return `hook`.

    Register it at import, in every worker: one that serves calls it, in a thread, once for each process; twice, if it
    ended itself meanwhile. When no worker is left, the next one that serves does. Outside a fastlb worker nothing
    calls it.
    """
    from .exit_hooks import hooks_of_this_process

    hooks_of_this_process.add(hook)
    return hook


@overload
def action(name: Action) -> Action: ...
@overload
def action(name: str) -> Callable[[Action], Action]: ...
def action(name: Any) -> Any:
    """Offer a function for `fastlb trigger NAME ACTION [PARAM]`, under its own name or another; return it.

    It gets PARAM, a text, if one is given. A function runs in a thread of its own, a coroutine on the loop that serves
    the app. What it returns is the answer: text as it is, anything else as JSON. Outside a fastlb worker nothing calls
    it. `name`: the function, or how it is called.

    Raises:
        ValueError: the name is not one word of at most 64 characters.
    """
    from .actions.registry import actions_of_this_process

    def offer(function: Action) -> Action:
        actions_of_this_process.add(name if isinstance(name, str) else function.__name__, function)
        return function

    return offer if isinstance(name, str) else offer(name)
