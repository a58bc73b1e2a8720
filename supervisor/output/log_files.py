"""Owns the log files of an app that are open: which file takes the lines of which worker and stream.

Runs in the supervisor process, in a thread that writes them and may hang with their disk. Streams and workers that name
one file share it, line by line. It must never raise because of the disk once it is made.
"""

import os
import time
from pathlib import Path

from ..errors import FastlbError
from ..home.log_files import LogTemplate, Output, date_text
from . import wall_clock
from .event_log import EventLog
from .index_writer import LogIndex
from .line_format import Origin
from .log_file import LogFile
from .log_sink import FileEnd
from .loss_mark import Mark, text_mark
from .rotation import RotatedFiles, RotationRules

LOOK_INTERVAL = 1.0


class LogFiles:
    """The files that an app's settings name. Those that do not depend on a worker are created at once.

    Args:
        templates: where what is written.
        rules: when files are rotated.
        log: is told of problems.
        index: is told who has written what; owned from here on.
        mark: makes the line that stands where so many lines were lost.

    Raises:
        FastlbError: a file cannot be opened.
    """

    def __init__(
        self,
        templates: dict[Output, LogTemplate],
        rules: RotationRules,
        log: EventLog,
        index: LogIndex,
        mark: Mark = text_mark,
    ) -> None:
        self._templates = templates
        self._index = index
        self._log = log
        self._mark = mark
        self._rotated = RotatedFiles(rules, log)
        self._files: dict[Path, LogFile] = {}
        self._by_origin: dict[Origin, list[LogFile]] = {}
        self._next_look = 0.0
        self._date = date_text(wall_clock.now())
        for template in templates.values():
            if not template.is_per_worker:
                self._open(template.file(0, 0, wall_clock.now()))

    def append(self, origin: Origin, lines: bytes) -> None:
        """Append whole lines to the files that are for them."""
        if time.monotonic() >= self._next_look:  # ${date} may have changed
            self._next_look = time.monotonic() + LOOK_INTERVAL
            self._by_origin.clear()
            self._close_former()
        for file in self._files_of(origin):
            lost_lines = file.lost_lines
            file.append(lines)
            if file.lost_lines == lost_lines:
                self._index.note(file.fd, file.opening, origin, len(lines))

    def lose(self, origin: Origin, count: int) -> None:
        """So many lines are missing in the files that are for them: a mark says so."""
        for file in self._files_of(origin):
            file.lose(count)

    @property
    def has_files_per_process(self) -> bool:
        """Whether a file may be for one process only."""
        return any(template.is_per_process for template in self._templates.values())

    def lost_lines(self) -> dict[str, int]:
        """Return how many lines each file lacks, of those that are open and lack any. Any thread may ask."""
        return {str(path): file.lost_lines for path, file in list(self._files.items()) if file.lost_lines}

    def ends(self) -> list[FileEnd]:
        """Return where each open file ends now."""
        statuses = [os.fstat(file.fd) for file in self._files.values()]
        return [FileEnd(status.st_dev, status.st_ino, status.st_size) for status in statuses]

    def reopen_if_moved(self) -> None:
        """Open each file anew whose name leads to another one, or to none."""
        for file in self._files.values():
            file.reopen_if_moved()

    def forget(self, worker: int, pid: int) -> None:
        """Close the files that were only for a process that has ended."""
        self._by_origin = {o: files for o, files in self._by_origin.items() if (o.worker, o.pid) != (worker, pid)}
        now = wall_clock.now()
        for template in self._templates.values():
            if template.is_per_process and (file := self._files.pop(template.file(worker, pid, now), None)):
                file.close()

    def close(self) -> None:
        """Close all files, once rotated ones are in order."""
        for file in self._files.values():
            file.close()
        self._rotated.close()
        self._index.close()

    def _close_former(self) -> None:
        """Close the files of another day: one that somebody writes after all is opened again."""
        former, self._date = self._date, date_text(wall_clock.now())
        if former != self._date:
            for path in [path for path in self._files if former in str(path)]:
                self._files.pop(path).close()

    def _files_of(self, origin: Origin) -> list[LogFile]:
        files = self._by_origin.get(origin)
        if files is None:
            files = self._by_origin[origin] = self._choose(origin)
        return files

    def _choose(self, origin: Origin) -> list[LogFile]:
        now = wall_clock.now()
        outputs: tuple[Output, ...] = ("access",) if origin.stream == "access" else (origin.stream, "all")
        wanted = [self._templates[output] for output in outputs if output in self._templates]
        paths = dict.fromkeys(template.file(origin.worker, origin.pid, now) for template in wanted)
        chosen = []
        for path in paths:
            try:
                chosen.append(self._open(path))
            except FastlbError as error:
                self._log.warning("log_not_opened", file=path, reason=error.message)
        return chosen

    def _open(self, path: Path) -> LogFile:
        if path not in self._files:
            self._files[path] = LogFile(path, self._log, self._rotated, self._mark)
        return self._files[path]
