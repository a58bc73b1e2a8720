"""Owns the node process that evaluates a configuration file: it is started before it is known whether there is one.

Runs in the user's shell. Node needs as long for its own start as this program for what it imports, so both go on at the
same time. The process does nothing before it is told a file, and ends without a word when it is told none. This
module must import nothing that takes time, as it runs before everything else.
"""

# The compiled part, as in entry.py.
import _signal as signal  # type: ignore[import-not-found]
import os
from contextlib import suppress

from ....supervisor.settings.env_names import NODE_CHANNEL_VARIABLES

PROGRAM = os.path.join(os.path.dirname(__file__), "evaluate.cjs")
SCRIPT_SUFFIXES = (".js", ".cjs", ".mjs")
# Commands that read configuration files, in our words and in PM2's.
READING = ("check", "start", "restart", "reload", "convert", "startOrRestart", "startOrReload", "startOrGracefulReload")
STDERR = 2


class Evaluator:
    """A node process that waits for the name of a file. Whoever holds this must `end` it.

    Attributes:
        pid: of the process, and of its group.
        data_fd: to read what the file exports.
        words_fd: to read what it prints.
    """

    def __init__(self) -> None:
        self._request_fd, self.data_fd, self.words_fd, theirs = _pipes()
        try:
            self.pid = _spawn(*theirs)
        except OSError:
            for fd in (self._request_fd, self.data_fd, self.words_fd):
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)

    def ask(self, path: str) -> None:
        """Have it evaluate the file at `path`, an absolute one. Once."""
        with suppress(BrokenPipeError):  # it has ended: there will be no data, which says it
            os.write(self._request_fd, os.fsencode(path))
        os.close(self._request_fd)

    def end(self) -> None:
        """End what the file has started, too, whatever it is doing."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.data_fd)
        os.close(self.words_fd)


_early: list[Evaluator] = []


def start_early(arguments: list[str]) -> None:
    """Start node if the command line will probably need it. `arguments`: of the command, without its name."""
    if not probably_needs_node(arguments):
        return
    try:
        os.fstat(STDERR)  # where a standard stream is closed a pipe would take its number
        _early.append(Evaluator())
    except OSError:
        pass  # whoever needs it says why there is none


def probably_needs_node(arguments: list[str]) -> bool:
    """Whether a command line names a file that node is to evaluate. Only looks at names, and whether there is such."""
    words = [word for word in arguments if not word.startswith("-")]
    return bool(words) and words[0] in READING and any(_is_probable(word, words[0]) for word in words[1:])


def _is_probable(word: str, command: str) -> bool:
    name = os.path.basename(word)
    named_so = name.startswith("ecosystem") or os.path.splitext(name)[0].endswith(".config")
    return name.endswith(SCRIPT_SUFFIXES) and (named_so or command in ("check", "convert")) and os.path.isfile(word)


def take_evaluator() -> Evaluator:
    """Return the process that was started early, or a new one. It is the caller's.

    Raises:
        FileNotFoundError: there is no node.
        OSError: it cannot be started.
    """
    return _early.pop() if _early else Evaluator()


def _pipes() -> tuple[int, int, int, tuple[int, int, int]]:
    """Return our ends of the pipes for request, data and words, and theirs."""
    theirs_request, request = os.pipe()
    data, theirs_data = os.pipe()
    words, theirs_words = os.pipe()
    return request, data, words, (theirs_request, theirs_data, theirs_words)


def _spawn(request_fd: int, data_fd: int, words_fd: int) -> int:
    """Start node with these three of our descriptors and no other; return its pid."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, words_fd, 1),
        (os.POSIX_SPAWN_DUP2, words_fd, 2),
        (os.POSIX_SPAWN_DUP2, request_fd, request_fd),  # it stays open there
        (os.POSIX_SPAWN_DUP2, data_fd, data_fd),
        *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable()),
    ]
    return os.posix_spawnp(
        "node",
        ["node", PROGRAM, str(request_fd), str(data_fd)],
        {name: value for name, value in os.environ.items() if name not in NODE_CHANNEL_VARIABLES},
        file_actions=actions,
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
    )


def _inheritable() -> list[int]:
    """Return the descriptors that whoever started us has left open for all."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the one by which they are listed
            if int(name) > STDERR and os.get_inheritable(int(name)):
                found.append(int(name))
    return found
