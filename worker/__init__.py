"""fastlb.worker: code that runs inside a Python worker process, and what an app may call there.

`ready()` is the app's interface, which apps import anywhere, also outside of workers: importing this module must
import nothing else. The rest of the package serves the app and runs in workers only; `wire` is imported by the
supervisor, too.
"""


def ready() -> None:
    """Say that this worker can take connections, for apps started with `wait_ready`. Any thread may call it.

    Does nothing outside a fastlb worker, so that the app also runs elsewhere.
    """
    from .lifecycle_channel import channel_of_this_process

    channel = channel_of_this_process()
    if channel is not None:
        channel.say_ready()
