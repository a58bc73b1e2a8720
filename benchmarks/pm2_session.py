"""Writes benchmarks/results/pm2-session.md: a PM2 user's session, typed to PM2 and to the link `pm2` of ours.

python -m benchmarks.pm2_session

Each has a home and a folder of its own, with the same two programs on the same kind of port. Shown is what each command
printed, its exit code and its time. Nothing is judged here.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.support.node_packages import node_modules

PAGE = Path(__file__).resolve().parent / "results" / "pm2-session.md"
VERSION = "7.0.4"
SECONDS = 60.0
MOST_LINES = 18
APP = "const http = require('http')\nhttp.createServer((_, r) => r.end('hello')).listen(process.env.PORT)\n"
BROKEN = "throw new Error('a bad deploy')\n"
# A line with a : is done to the folder, and not typed.
SESSION = (
    "start app.js -n api -i 2 -k 3000",
    "start worker.py --name job --max-memory-restart 1.5G",
    "start worker.py --name job",
    "ls",
    "show api",
    "pid api",
    "id api",
    "scale api +1",
    "scale api -1",
    "restart 0",
    "stop job",
    "stop unknown",
    "reload api",
    ":break app.js",
    "reload api",
    ":mend app.js",
    "reload api",
    "logs api --lines 3 --nostream",
    "save",
    "kill",
    "resurrect",
    "ls --no-color",
    "deploy production",
    "delete all",
)


class Typed(msgspec.Struct, frozen=True):
    """What came of one line."""

    text: str
    exit_code: int
    seconds: float


class Typist:
    """Types the session to one program, in a folder of its own."""

    def __init__(self, program: Path, folder: Path, port: int) -> None:
        self._program = program
        self._folder = folder
        homes = {"PM2_HOME": str(folder / "home"), "FASTLB_HOME": str(folder / "home")}
        quiet = {"PM2_DISABLE_VERSION_CHECK": "true", "NO_COLOR": "1", "COLUMNS": "100"}
        self._env = os.environ | homes | quiet | {"PORT": str(port)}
        (folder / "worker.py").write_text("import time\nwhile True:\n    time.sleep(1)\n")
        self.put(APP)

    def put(self, text: str) -> None:
        """Deploy a version of the app."""
        (self._folder / "app.js").write_text(text)

    def type(self, line: str) -> Typed:
        """Type a line and wait for its end."""
        begun = time.monotonic()
        result = subprocess.run(
            [self._program, *line.split()],
            cwd=self._folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        return Typed(self._readable(result.stdout), result.returncode, time.monotonic() - begun)

    def _readable(self, text: str) -> str:
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace(str(self._folder), "~/site")
        lines = [line.rstrip()[:110] for line in plain.splitlines() if line.strip()]
        more = [f"... ({len(lines) - MOST_LINES} more lines)"] if len(lines) > MOST_LINES else []
        return "\n".join([*lines[:MOST_LINES], *more]).replace("```", "'''")


def main() -> None:
    """Type the session to both, and write the page."""
    peer = node_modules((("pm2", VERSION),)) / ".bin" / "pm2"
    with tempfile.TemporaryDirectory(prefix="pm2-") as theirs, tempfile.TemporaryDirectory(prefix="lb-") as ours:
        link = Path(ours) / "pm2"
        link.symlink_to(Path(sys.executable).parent / "fastlb")
        typists = (Typist(peer, Path(theirs), 39_811), Typist(link, Path(ours), 39_812))
        try:
            for typist in typists:
                typist.type("ping")  # PM2 greets its user once
            PAGE.write_text(_page(typists))
        finally:
            for typist in typists:
                typist.type("kill")


def _page(typists: tuple[Typist, Typist]) -> str:
    parts = [
        f"# A session, typed to PM2 {VERSION} and to us\n",
        "`python -m benchmarks.pm2_session` wrote this by typing it, ours by the link `pm2`. Times are of a machine",
        "that had other work as well.\n",
    ]
    for line in SESSION:
        if line.startswith(":"):
            for typist in typists:
                typist.put(BROKEN if "break" in line else APP)
            parts.append("*A version of app.js that throws is deployed.*\n" if "break" in line else "*It is mended.*\n")
            continue
        theirs, ours = (typist.type(line) for typist in typists)
        parts.append(f"## pm2 {line}\n\n{_shown(f'PM2 {VERSION}', theirs)}\n{_shown('fastlb', ours)}")
    return "\n".join(parts)


def _shown(who: str, typed: Typed) -> str:
    return f"{who}: exit code {typed.exit_code}, {typed.seconds:.1f} s\n\n```\n{typed.text}\n```\n"


if __name__ == "__main__":
    main()
