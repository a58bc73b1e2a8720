"""Owns what a starter and the supervisor that it starts tell each other. Runs in both: shell and supervisor.

The starter gives two descriptors: a memfd with the LaunchRequest, and one end of a socket pair on which the
supervisor writes LaunchReports, one JSON object a line, until the app has started or failed. A socket and not a
pipe, so that the supervisor sees it when the reader goes away (^C during a start) and gives up.
"""

import os

import msgspec

from ..errors import EXIT_FAILURE, FastlbError
from ..settings.app_config import AppConfig

NO_REPORT_FD = -1  # the supervisor speaks to the terminal


class Foreground(msgspec.Struct, frozen=True, kw_only=True):
    """How an app runs that keeps the terminal of its command.

    Attributes:
        log_files: also write its output and events to files.
        prefix: show in front of each line which worker wrote it; None: on a terminal.
        temporary_home: the home is made for this run, and is removed at its end.
    """

    log_files: bool = False
    prefix: bool | None = None
    temporary_home: bool = False


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
    """

    config: AppConfig
    home: str
    foreground: Foreground | None = None
    systemd_fds: int = 0
    lock_fd: int
    wait: bool = True
    origins: dict[str, str] = {}


class ProgressReport(msgspec.Struct, frozen=True, tag_field="event", tag="progress"):
    """A step of the start; fields as in Progress."""

    text: str
    admitted: int = 0
    workers: int = 0


class StartedReport(msgspec.Struct, frozen=True, tag_field="event", tag="started"):
    """All workers are admitted. `text`: where the app listens; `remarks`: what may not be expected. The last report."""

    text: str
    remarks: list[str] = []


class FailedReport(msgspec.Struct, frozen=True, tag_field="event", tag="failed"):
    """The start failed and nothing of it is left. `details`: a worker's traceback. The last report."""

    message: str
    details: str = ""
    exit_code: int = EXIT_FAILURE


LaunchReport = ProgressReport | StartedReport | FailedReport


def request_file(request: LaunchRequest) -> int:
    """Return a descriptor from which `read_request` reads `request`; the caller owns it.

    Raises:
        FastlbError: it does not fit: memory, or the limit of a file's size, which holds for a memfd, too.
    """
    fd = os.memfd_create("fastlb-launch", os.MFD_CLOEXEC)
    content = memoryview(msgspec.json.encode(request))
    try:
        while content:
            content = content[os.write(fd, content) :]
    except OSError as error:
        os.close(fd)
        raise FastlbError(f"cannot pass on the settings: {error.strerror}: see `ulimit -f`") from error
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def read_request(fd: int) -> LaunchRequest:
    """Return the request in `fd`, which is closed."""
    with open(fd, "rb") as file:
        return msgspec.json.decode(file.read(), type=LaunchRequest)
