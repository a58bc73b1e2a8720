"""Owns which mode an app is started in when nobody has said it: cluster for what can be served, fork for all else.

Runs in the user's shell. It looks at files, and must never run one. What it has found is stored with the settings, so
that an app does not change its mode because a file has changed.
"""

import os
import shlex
import shutil

from ..supervisor.fork.target.command import PYTHON_SUFFIX
from ..supervisor.processes.programs import is_executable, shebang_program
from ..supervisor.settings.targets import (
    ExecMode,
    is_config_file,
    is_foreign_program,
    is_import,
    is_node_file,
    is_node_interpreter,
    wrapper_name,
)
from .target_advice import is_script, what_to_type


def fitting_mode(target: str, interpreter: str, cwd: str, app_dir: str) -> ExecMode:
    """Return the mode that a target suggests; arguments as in AppConfig.

    What can be started in no mode is for cluster mode, whose messages say what to type.

    Raises:
        UsageError: a file cannot be read.
    """
    if is_config_file(target):
        return "cluster"
    if wrapper_name(target) or is_foreign_program(target):
        return "fork"
    if interpreter:
        return _mode_with(os.path.basename(interpreter), target)
    if is_node_file(target):
        return "cluster"
    path = os.path.join(cwd, target)
    if os.path.isfile(path):
        return _mode_of_file(target, path)
    if os.path.isdir(path) or what_to_type(target, cwd, app_dir):
        return "cluster"
    return "fork" if _is_command(target, cwd) else "cluster"


def _mode_with(interpreter: str, target: str) -> ExecMode:
    is_served = is_import(target) or is_node_file(target) or is_node_interpreter(interpreter)
    return "cluster" if is_served else "fork"


def _mode_of_file(target: str, path: str) -> ExecMode:
    if target.endswith(PYTHON_SUFFIX):
        return "fork" if is_script(path) else "cluster"
    program = shebang_program(path)
    if program:
        return "cluster" if is_node_interpreter(program) else "fork"
    # A text without a first line that says who runs it, named by its path, is for node: bin/www.
    return "cluster" if "/" in target and not is_executable(path) else "fork"


def _is_command(target: str, cwd: str) -> bool:
    """Whether the first word is a program, of this name on PATH or a file; `server.py` is one that is missing."""
    try:
        words = shlex.split(target)
    except ValueError:
        return False
    if not words:
        return False
    is_alone = len(words) == 1
    if is_alone and (":" in target or "/" in target):
        return False
    is_file = os.path.isfile(os.path.join(cwd, words[0]))
    return is_file or bool(shutil.which(words[0])) or (is_alone and target.endswith(PYTHON_SUFFIX))
