"""Owns what a starter and the supervisor that it starts tell each other. Runs in both: shell and supervisor.

The starter gives two descriptors: a memfd with the LaunchRequest, and one end of a socket pair on which the
supervisor writes LaunchReports, one JSON object a line, until the app has started or failed. A socket and not a
pipe, so that the supervisor sees it when the reader goes away (^C during a start) and gives up.
"""

import os

import msgspec

from ..errors import EXIT_FAILURE, FastlbError
from ..settings.app_config import AppConfig
from ..version import VERSION

# By it a predecessor answers a ReadyReport.
TAKE_OVER = b"take over\n"
NO_REPORT_FD = -1  # the supervisor speaks to the terminal


class Foreground(msgspec.Struct, frozen=True, kw_only=True):
    """How an app runs that keeps the terminal of its command.

    Attributes:
        log_files: also write its output and events to files.
        prefix: show in front of each line which worker wrote it; None: on a terminal.
        restarts_on_change: as in AppResources.
        temporary_home: the home is made for this run, and is removed at its end.
        as_json: what the supervisor says is one JSON object a line as well.
        has_company: other apps write to the same terminal: what the supervisor says has the app's name.
    """

    log_files: bool = False
    prefix: bool | None = None
    restarts_on_change: bool = False
    temporary_home: bool = False
    as_json: bool = False
    has_company: bool = False


class HandedListener(msgspec.Struct, frozen=True, kw_only=True):
    """A listening socket that a supervisor gives its successor.

    Attributes:
        fd: which descriptor it is there.
        spec: the `--bind` that it comes from.
        has_file: whether it is a unix socket whose file the supervisor removes at its end.
        is_inherited: another program opened it, and may listen on it as well.
    """

    fd: int
    spec: str
    has_file: bool = False
    is_inherited: bool = False


class Succession(msgspec.Struct, frozen=True, kw_only=True):
    """What a supervisor is told that takes the place of another one, which serves until then and has started it.

    Attributes:
        listeners: those of the app.
        next_number: the predecessor's incarnations have numbers below it, or a little above.
        oom_score: what the predecessor was started with; None: not known.
        estate_fd: where it leaves what it knows when it is told to take over; -1: nowhere.
    """

    listeners: list[HandedListener]
    next_number: int = 1
    oom_score: int | None = None
    estate_fd: int = -1


class LaunchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor process is to do.

    Attributes:
        config: the app.
        home: absolute path of $FASTLB_HOME.
        foreground: show the output of the workers on the terminal, and forget the app at its end; None: it is detached.
        systemd_fds: how many listening sockets systemd passed, from descriptor 3 on.
        lock_fd: the app's lock, which the starter has taken.
        wait: report success only when the workers have lived for `settle`.
        origins: the settings that environment variables gave, each with its variable.
        succession: it takes the place of another supervisor; None: of nobody.
        stopped: numbers of workers that are not started: they were stopped alone.

    Versions of fastlb that replace each other read it: names stay, and new ones have a default.
    """

    config: AppConfig
    home: str
    foreground: Foreground | None = None
    systemd_fds: int = 0
    lock_fd: int
    wait: bool = True
    origins: dict[str, str] = {}
    succession: Succession | None = None
    stopped: list[int] = []


class ProgressReport(msgspec.Struct, frozen=True, tag_field="event", tag="progress"):
    """A step of the start; fields as in Progress."""

    text: str
    admitted: int = 0
    workers: int = 0


class ReadyReport(msgspec.Struct, frozen=True, tag_field="event", tag="ready"):
    """A successor serves, and waits for TAKE_OVER. `version`: of its fastlb."""

    version: str = ""


class StartedReport(msgspec.Struct, frozen=True, tag_field="event", tag="started"):
    """All workers are admitted. `text`: where the app listens; `remarks`: what may not be expected. The last report."""

    text: str
    remarks: list[str] = []


class FailedReport(msgspec.Struct, frozen=True, tag_field="event", tag="failed"):
    """The start failed and nothing of it is left. `details`: a worker's traceback. The last report."""

    message: str
    details: str = ""
    exit_code: int = EXIT_FAILURE


LaunchReport = ProgressReport | ReadyReport | StartedReport | FailedReport


def request_file(request: LaunchRequest) -> int:
    """Return a descriptor from which `read_request` reads `request`; the caller owns it.

    Raises:
        FastlbError: it does not fit: memory, or the limit of a file's size, which holds for a memfd, too.
    """
    content = memoryview(msgspec.json.encode(request))
    try:
        fd = os.memfd_create("fastlb-launch", os.MFD_CLOEXEC)
    except OSError as error:
        raise FastlbError(f"cannot pass on the settings: {error.strerror}: see `ulimit -n`") from error
    try:
        while content:
            content = content[os.write(fd, content) :]
    except OSError as error:
        os.close(fd)
        raise FastlbError(f"cannot pass on the settings: {error.strerror}: see `ulimit -f`") from error
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def read_request(fd: int) -> LaunchRequest:
    """Return the request in `fd`, which is closed.

    Raises:
        FastlbError: whoever wrote it is of a version that knows more.
    """
    with open(fd, "rb") as file:
        try:
            return msgspec.json.decode(file.read(), type=LaunchRequest)
        except msgspec.ValidationError as error:
            raise FastlbError(f"fastlb {VERSION} cannot run the app as it is: {error}") from error
