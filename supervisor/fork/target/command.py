"""Owns the command line of a fork-mode process: what runs the target, its options, the target and its arguments.

Runs in the supervisor, and in the user's shell to check it before a start; the app's cwd is the working directory. It
blocks for as long as `node --version` takes for a script of Node's. It must never run the target.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from ...errors import UsageError
from ...node.target.command import node_command
from ...processes.programs import find_interpreter, is_executable, shebang_program, shebang_words, split_words
from ...settings.app_config import AppConfig
from ...settings.targets import is_node_file, is_node_interpreter
from ...suggestions import nearest

# The word of --interpreter for: none, the target is a program itself.
NO_INTERPRETER = "none"
# What runs a script whose first line does not say it: the first of these that there is, and its options.
INTERPRETERS: dict[str, Sequence[tuple[str, ...]]] = {
    ".sh": (("bash",), ("sh",)),
    ".bash": (("bash",),),
    ".rb": (("ruby",),),
    ".php": (("php",),),
    ".pl": (("perl",),),
    ".jar": (("java", "-jar"),),
}
PYTHON_SUFFIX = ".py"
NODE_PROGRAMS = ("node", "nodejs", "npm", "npx", "yarn", "pnpm", "tsx")


@dataclass(frozen=True)
class ProgramCommand:
    """How every process of an app is started.

    Attributes:
        argv: program and arguments.
        speaks_node: it is Node, which understands an IPC channel that it is started with.
        env: variables that it gets unless they have a value already.
    """

    argv: tuple[str, ...]
    speaks_node: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


def program_command(config: AppConfig, environment: Mapping[str, str]) -> ProgramCommand:
    """Return how the processes of a fork-mode app are started, which have `environment` in common.

    Raises:
        UsageError: the target, the interpreter or an option is wrong; says what to type instead.
        FastlbError: this machine lacks something, such as the interpreter.
    """
    program, *first_args = target_words(config.target)
    args = (*first_args, *config.args)
    if is_for_node(program, config.interpreter):
        return _node_program(replace(config, target=program, args=args), environment)
    interpreter = _interpreter(program, config, environment)
    if not interpreter:
        _refuse_options(program, config)
        found = _executable(program, environment)
        return ProgramCommand((found, *args), _speaks_node(found))
    options = [word for text in config.interpreter_args for word in split_words("--interpreter-args", text)]
    is_python = os.path.basename(interpreter[0]).startswith("python")
    # So that what it prints is in the log at once, not when 8 KiB have come together.
    unbuffered = {"PYTHONUNBUFFERED": "1"} if is_python else {}
    argv = (*interpreter, *options, program, *args)
    return ProgramCommand(argv, _speaks_node(interpreter[0]), unbuffered)


def target_words(target: str) -> list[str]:
    """Return program and arguments of a target: one word, if there is a file of that name, else as a shell splits it.

    Raises:
        UsageError: it cannot be split.
    """
    if os.path.exists(target) or not target.strip():
        return [target]
    return split_words("the target", target)


def is_for_node(script: str, interpreter: str) -> bool:
    """Whether node, tsx or deno is to run a script, or the main script of a directory."""
    name = os.path.basename(interpreter)
    if name:
        return is_node_interpreter(name) and (is_node_file(script) or os.path.exists(script))
    return is_node_file(script) or os.path.isdir(script)


def python_for_scripts(env: Mapping[str, str]) -> str:
    """Return the Python that runs a script which names none: of the active virtual environment, or else ours."""
    active = os.path.join(env.get("VIRTUAL_ENV", ""), "bin", "python")
    return active if os.path.isabs(active) and is_executable(active) else sys.executable


def _node_program(config: AppConfig, environment: Mapping[str, str]) -> ProgramCommand:
    # What we load into workers of a cluster serves their drain, of which there is none here.
    command = node_command(replace(config, node_preload=False), environment)
    return ProgramCommand(command.argv, speaks_node=command.answers_probes)


def _interpreter(program: str, config: AppConfig, env: Mapping[str, str]) -> list[str]:
    """Return what stands in front of the target; empty: it is executed itself."""
    if config.interpreter == NO_INTERPRETER:
        return []
    if config.interpreter:
        found = find_interpreter(config.interpreter, env)
        if not os.path.exists(program):
            raise _missing(program)
        return [found]
    if not os.path.isfile(program):
        return []
    suffix = os.path.splitext(program)[1]
    if suffix == PYTHON_SUFFIX:
        return [python_for_scripts(env)]
    if words := shebang_words(program):
        return [] if is_executable(program) else words
    return _interpreter_of_suffix(suffix, env)


def _interpreter_of_suffix(suffix: str, env: Mapping[str, str]) -> list[str]:
    candidates = INTERPRETERS.get(suffix, ())
    for name, *options in candidates:
        if shutil.which(name, path=env.get("PATH")):
            return [find_interpreter(name, env), *options]
    return [find_interpreter(candidates[0][0], env)] if candidates else []


def _refuse_options(program: str, config: AppConfig) -> None:
    if config.interpreter_args:
        raise UsageError(
            f"--interpreter-args {' '.join(config.interpreter_args)}: {program} is executed itself: give arguments"
            " after --, or say by --interpreter what runs it"
        )


def _executable(program: str, env: Mapping[str, str]) -> str:
    """Return what can be executed, by a path that has a slash."""
    if os.path.isfile(program):
        if not os.access(program, os.X_OK):
            raise UsageError(
                f"{program} cannot be executed: `chmod +x {program}`, or say by --interpreter what runs it"
            )
        return program if "/" in program else f"./{program}"
    found = None if "/" in program else shutil.which(program, path=env.get("PATH"))
    if not found:
        raise _missing(program)
    return os.path.abspath(found)


def _missing(program: str) -> UsageError:
    directory, name = os.path.split(program)
    try:
        found = nearest(name, os.listdir(directory or "."))
    except OSError:
        found = ""
    meant = f"; did you mean {os.path.join(directory, found)}?" if found else ""
    nor = "" if "/" in program or os.path.splitext(name)[1] else " and no program of that name on PATH"
    return UsageError(f"there is no file {program} (working directory: {os.getcwd()}){nor}{meant}")


def _speaks_node(program: str) -> bool:
    if not os.path.isfile(program):
        return False
    names = {os.path.basename(program), shebang_program(program)}
    return any(name in NODE_PROGRAMS for name in names)
