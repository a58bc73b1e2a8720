"""The exceptions that a user may see, and the exit codes that they mean. Used by supervisor and command line."""

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_NOT_RUNNING = 3  # as `systemctl is-active` says it
EXIT_ROLLED_BACK = 4
EXIT_FOUND_WARNING = 5
EXIT_FOUND_ERROR = 6
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count

# All exit codes of the command, each with its meaning: docs/exit-codes.md is made of it.
EXIT_CODES = {
    0: "It is done; `run`: the app was stopped, by a signal or by `fastlb stop`, also before it had started.",
    EXIT_FAILURE: "It failed, and the message says why: the app did not start, a reload was given up, another operation"
    " runs, there is no such app, or its supervisor does not answer.",
    EXIT_USAGE: "It was asked for wrongly, and nothing was changed: an unknown option or command, a bad value (also of"
    " an environment variable, or in a file that an option names), a target that is not there or cannot be imported.",
    EXIT_NOT_RUNNING: "`fastlb show NAME --quiet`: the app does not run. 0: it does, however well.",
    EXIT_ROLLED_BACK: "`fastlb canary NAME`: the new code did worse, or did not prove itself, and was rolled back.",
    EXIT_FOUND_WARNING: "`fastlb doctor`: requests will be lost, or slow, as soon as something else happens.",
    EXIT_FOUND_ERROR: "`fastlb doctor`: they are now, or something does not work.",
    EXIT_INTERRUPTED: "^C ended the command; a start under way is given up.",
}


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


class RolledBack(FastlbError):
    """New code was tried and did not prove itself: what ran before goes on untouched."""

    exit_code = EXIT_ROLLED_BACK


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
