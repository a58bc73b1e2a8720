"""Owns typing commands as a person would, and what the page shows of the answers. Runs `fastlb` in a home of its own.

What differs from run to run (port, home, directory, pids, times) is shown as it is for a person who begins.
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import tempfile
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.client import get
from tests.support.fastlb_process import COMMAND, Fastlb
from tests.support.ports import free_port
from tests.support.waiting import scaled

from .mistakes import FILES, PORT, Mistake

COLUMNS, LINES = 80, 24
SHOWN_PORT, SHOWN_MAIL_PORT = "8000", "8025"
ANSWER_SECONDS = 60.0


class Session:
    """A folder with three apps, of which `shop` and `mail` run. Use `session()`."""

    def __init__(self, fastlb: Fastlb, directory: Path) -> None:
        self.fastlb = fastlb
        self.directory = directory
        self.port = free_port()
        self.mail_port = free_port()

    def write(self, files: dict[str, str]) -> None:
        """Write files, by path."""
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    def start(self) -> None:
        """Start the apps, and ask them something."""
        address = ("127.0.0.1", self.port)
        common = ("--cwd", str(self.directory), "--settle", "0.2", "--bind")
        self.fastlb.ok("start", "shop.api:app", "--workers", "2", *common, f"127.0.0.1:{self.port}")
        self.fastlb.ok("start", "mail.wsgi:application", *common, f"127.0.0.1:{self.mail_port}")
        for path in ("/", "/prices", "/cart", "/cart/checkout"):
            get(address, path)

    def make(self, mistake: Mistake) -> str:
        """Make a mistake; return command, answer and exit code as the page shows them."""
        kept = {name: (self.directory / name).read_text() for name in mistake.files}
        self.write(mistake.files)
        words = mistake.command.replace(PORT, str(self.port)).split()
        result = subprocess.run(
            [str(COMMAND), *words],
            env=self.fastlb.env,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=scaled(ANSWER_SECONDS),
        )
        self.write(kept)
        return self.shown(mistake.command.replace(PORT, SHOWN_PORT), result.stdout, result.returncode)

    def on_terminal(self, command: str) -> str:
        """Type a command at a terminal of 80 columns; return what stands there afterwards."""
        outside, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        env = {**self.fastlb.env, "TERM": "xterm"}
        env.pop("COLUMNS", None)
        options = {"env": env, "cwd": self.directory, "stdin": inside, "stdout": inside, "stderr": inside}
        with subprocess.Popen([str(COMMAND), *command.split()], **options) as process:  # type: ignore[call-overload]
            os.close(inside)
            text = read_all(outside)
            process.wait(scaled(ANSWER_SECONDS))
        os.close(outside)
        return self.shown(command, text.replace("\r\n", "\n"), process.returncode)

    def shown(self, command: str, answer: str, exit_code: int) -> str:
        """Return it as a block of the page."""
        for found, shown in ((str(self.fastlb.home), "~/.fastlb"), (str(self.directory), "~/site")):
            answer = answer.replace(found, shown)
        for found, shown in ((str(self.port), SHOWN_PORT), (str(self.mail_port), SHOWN_MAIL_PORT)):
            answer = re.sub(rf"\b{found}\b", shown, answer)
        return f"```\n$ fastlb {command}\n{answer.rstrip()}\n$ echo $?\n{exit_code}\n```\n"


def read_all(terminal: int) -> str:
    """Return what is written to a terminal until its last writer is gone."""
    chunks = []
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # EIO: pty(7)
            break
        if not chunk:
            break
        chunks.append(chunk)
    return b"".join(chunks).decode()


@contextmanager
def session() -> Iterator[Session]:
    """Yield a session with running apps; everything is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fastlb-") as directory, Fastlb() as fastlb:
        fastlb.allow_in_logs("Traceback")
        made = Session(fastlb, Path(directory).resolve())
        made.write(FILES)
        made.start()
        yield made
