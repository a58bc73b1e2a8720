"""Owns a command on a pseudo terminal, as a person sees it. Runs in the test process. Every wait has a deadline."""

import os
import subprocess
from typing import Self

from .fastlb_process import COMMAND, Fastlb
from .waiting import wait_until


class Terminal:
    """A command on a pseudo terminal, of the kind `term`; `shown` is what it has printed."""

    def __init__(self, fastlb: Fastlb, *args: str, term: str = "xterm-256color") -> None:
        self._master, theirs = os.openpty()
        env = fastlb.env | {"TERM": term, "COLUMNS": "200"}
        self.process = subprocess.Popen([COMMAND, *args], env=env, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        os.set_blocking(self._master, False)
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Wait until `text` is shown."""

        def is_shown() -> bool:
            try:
                self.shown += os.read(self._master, 65536).decode(errors="replace")
            except OSError:  # nothing yet, or the other end is closed
                return text in self.shown
            return text in self.shown

        wait_until(is_shown, f"{text!r} is on the terminal")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)
