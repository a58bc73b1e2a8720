"""Owns the command line of a Node worker: the interpreter, its options, the script and its arguments.

Runs in the supervisor, and in the user's shell to check it before a start; the app's cwd is the working
directory. It blocks for as long as `node --version` takes. It must never put a program between us and the
node process that runs the app: the channel is for that one.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...errors import UsageError
from ...processes.programs import find_interpreter, split_words
from ...settings.app_config import AppConfig
from .interpreter import INSTALL_NODE, node_version, refuse_unsupported, tsx_options, typescript_options
from .preload_option import preload_options
from .script import resolve_script

INSPECT_OPTIONS = ("--inspect", "--inspect-brk", "--inspect-wait")
INSPECT_PORT_OPTIONS = ("--inspect-port", "--debug-port")
DEFAULT_INSPECT_PORT = 9229
MOST_PORTS_TRIED = 16
LOWEST_FREE_PORT, HIGHEST_PORT = 1024, 65535
# With these node runs something else than the script, or runs it in a process of its own.
REFUSED_OPTIONS = (
    *("-e", "--eval", "-p", "--print", "-pe", "-c", "--check", "-i", "--interactive"),
    *("--test", "--run", "--watch", "--watch-path", "-v", "--version", "-h", "--help"),
)


@dataclass(frozen=True)
class NodeCommand:
    """How every worker of an app is started.

    Attributes:
        argv: what is the same for all.
        script_at: index of the script in `argv`.
        inspect_port: where the inspector of worker 0 listens, 0: anywhere; None: there is none.
        workers: how many there are: as far above its first port a worker looks for another one.
        answers_probes: the program answers the question for a sign of life: Node does, Deno does not.
    """

    argv: tuple[str, ...]
    script_at: int
    inspect_port: int | None = None
    workers: int = 1
    answers_probes: bool = True

    def port_for_worker(self, worker_id: int, is_free: Callable[[int], bool]) -> int | None:
        """Return where the inspector of a worker is to listen; None: it has none, 0: anywhere.

        As with Node's cluster each has a port of its own; while the worker that it replaces has it, the next free one.
        """
        if not self.inspect_port:
            return self.inspect_port
        ids = range(worker_id, worker_id + self.workers * MOST_PORTS_TRIED, self.workers)
        ports = [_port_of_worker(self.inspect_port, number) for number in ids]
        return next(filter(is_free, ports), ports[0])

    def for_worker(self, inspect_port: int | None) -> list[str]:
        """Return the command of a worker whose inspector listens there."""
        if inspect_port is None:
            return list(self.argv)
        option = f"--inspect-port={inspect_port}"
        return [*self.argv[: self.script_at], option, *self.argv[self.script_at :]]


def node_command(config: AppConfig, environment: Mapping[str, str]) -> NodeCommand:
    """Return how the workers of a Node app are started, which have `environment` in common.

    Raises:
        UsageError: the script or an option is wrong; says what to type instead.
        FastlbError: this machine lacks something, such as node itself.
    """
    options = _node_options(config.interpreter_args)
    refuse_unsupported(config.interpreter, config.target)
    script = resolve_script(config.target)
    name = os.path.basename(config.interpreter)
    if name == "deno":
        program = (find_interpreter(config.interpreter, environment), "run", "-A", *options)
        return NodeCommand((*program, script, *config.args), len(program), answers_probes=False)
    path = find_interpreter("node" if name == "tsx" else config.interpreter or "node", environment, INSTALL_NODE)
    version = node_version(path, environment)
    loader = tsx_options(version, script) if name == "tsx" else typescript_options(version, script, options)
    all_options = [*_options_of_environment(environment), *options]
    preload = preload_options(all_options) if config.node_preload else []
    program = (path, *preload, *loader, *options)
    return NodeCommand((*program, script, *config.args), len(program), _inspect_port(all_options), config.workers)


def _node_options(node_args: Iterable[str]) -> list[str]:
    options = [option for text in node_args for option in split_words("--node-args", text)]
    for option in options:
        if option.partition("=")[0] in REFUSED_OPTIONS:
            raise UsageError(f"--node-args {option}: with it node is no worker that runs the script: leave it out")
    if options and not options[0].startswith("-"):
        raise UsageError(f"--node-args {options[0]}: options of node begin with '-'; those of the app go after --")
    return options


def _options_of_environment(env: Mapping[str, str]) -> list[str]:
    return env.get("NODE_OPTIONS", "").split()


def _inspect_port(options: Sequence[str]) -> int | None:
    """Return the port that `options` give the inspector; None: it is off."""
    pairs = [option.partition("=")[::2] for option in options]
    if not any(name in INSPECT_OPTIONS for name, _ in pairs):
        return None
    ports = [_port_in(value) for name, value in pairs if name in (*INSPECT_OPTIONS, *INSPECT_PORT_OPTIONS) and value]
    return next((port for port in reversed(ports) if port is not None), DEFAULT_INSPECT_PORT)


def _port_in(value: str) -> int | None:
    """Return the port of `PORT`, `HOST:PORT` or `[IPV6]:PORT`; None for a host alone."""
    match = re.fullmatch(r"(?:.*:)?(\d{1,5})", value)
    return int(match[1]) if match else None


def _port_of_worker(first: int, worker_id: int) -> int:
    if first == 0:
        return 0
    port = first + worker_id
    return port if port <= HIGHEST_PORT else LOWEST_FREE_PORT + port - HIGHEST_PORT - 1
