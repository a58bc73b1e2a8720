"""Owns the choice of what takes the workers' lines: files, a log daemon, the terminal alone, or nothing.

Runs in the supervisor process.
"""

from pathlib import Path

from ..errors import UsageError
from ..home.log_files import LogTemplate, Output
from ..settings.app_config import AppConfig
from . import journald, syslog
from .datagram_log import DatagramLog
from .event_log import EventLog
from .index_writer import LogIndex
from .log_files import LogFiles
from .log_sink import LogSink
from .loss_mark import make_mark
from .rotation import RotationRules

DAEMONS = {"syslog": syslog, "journald": journald}


def make_sink(
    config: AppConfig, templates: dict[Output, LogTemplate], log: EventLog, *, index: Path, has_terminal: bool
) -> LogSink:
    """Return what `log_target` says. `index`: the file that says who wrote which part of the log files.

    Raises:
        UsageError: there is no standard output to write to.
        FastlbError: a file cannot be opened, or no log daemon listens.
    """
    if config.log_target == "stdout" and not has_terminal:
        raise UsageError("--log-target stdout is for `fastlb run`: an app in the background has no standard output")
    daemon = DAEMONS.get(config.log_target)
    if daemon and not config.disable_logs:
        path = config.log_socket or daemon.DEFAULT_SOCKET
        return DatagramLog(path, daemon.encode, log, is_whole=config.log_multiline)
    noted = LogIndex(index if templates else None, lambda reason: log.warning("log_index_not_written", reason=reason))
    return LogFiles(templates, RotationRules.of(config), log, noted, make_mark(config))
