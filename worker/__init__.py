"""fastlb.worker: code that runs inside a Python worker process, and what an app may call there.

`ready()` is the app's interface. The rest of the package serves the app. Importing this imports nothing else.
"""


def ready() -> None:
    """Say that this worker can take connections, for apps started with `wait_ready`. Any thread may call it.

    Does nothing outside a fastlb worker, so that the app also runs elsewhere.
    """
    from .lifecycle_channel import channel_of_this_process

    channel = channel_of_this_process()
    if channel is not None:
        channel.say_ready()
