"""The exceptions that a user may see, each with the exit code that it means. Used by supervisor and command line."""

EXIT_FAILURE = 1
EXIT_USAGE = 2


class FastlbError(Exception):
    """Something failed. The message says what, where and what to do; it is shown without a traceback.

    Args:
        message: for the user.
        details: shown below the message as they are: a worker's traceback, for one.
        exit_code: of the command that it ends; None: that of the class.
    """

    exit_code = EXIT_FAILURE

    def __init__(self, message: str, *, details: str = "", exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        if exit_code is not None:
            self.exit_code = exit_code


class UsageError(FastlbError):
    """What was asked for makes no sense: unknown name, bad value, contradiction. Nothing was changed."""

    exit_code = EXIT_USAGE


class StartStopped(FastlbError):
    """The app was told to end before it had started: a failure for whoever waits for the start, none for the app."""


class BusyError(FastlbError):
    """Another operation is running on this app; the message says which and what to do."""


class StartFailed(FastlbError):
    """The app (or its new generation) did not start. What ran before goes on untouched.

    `worker_exit_code`: of the worker that has failed, if it had one.
    """

    worker_exit_code: int | None = None

    def after(self, outcome: str) -> "StartFailed":
        """Return the same failure, with what it means for the app in front."""
        failure = StartFailed(f"{outcome}: {self.message}", details=self.details, exit_code=self.exit_code)
        failure.worker_exit_code = self.worker_exit_code
        return failure
