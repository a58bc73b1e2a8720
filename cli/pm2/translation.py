"""Owns what a line of PM2's means here: our commands, with our options, and a sentence for each word without effect.

Pure. Runs in the user's shell.
"""

import re
from collections.abc import Callable, Collection, Sequence

import msgspec

from ...supervisor.errors import UsageError
from ...supervisor.settings.targets import is_config_file, is_node_file
from ...supervisor.suggestions import nearest
from ...worker.static_files.site import PASSWORD_VARIABLE
from .commands import COMMANDS, find_command, sentence_of
from .flags import FLAGS, Pm2Flag, find_flag

DEFAULT_FILE = "ecosystem.config.js"
# Of ours `logs` shows what the supervisor saw as well.
APP_STREAMS = ("--out", "--err")
# With them PM2 changes settings.
CHANGING = ("restart", "reload")
TWO = 2  # words of an option: its name and its value
NOT_CHANGED = ("--name", "--fork")
ANY_ADDRESS = "0.0.0.0:"
NUMBER = re.compile(r"-?\d+(\.\d+)?")


class Surroundings(msgspec.Struct, frozen=True):
    """What a translation must know of us.

    Attributes:
        commands: our commands.
        options_of: the options of one of them, as they are typed.
        is_running: whether an app of this name runs.
        cpus: how many this process may use.
    """

    commands: Collection[str]
    options_of: Callable[[str], Collection[str]]
    is_running: Callable[[str], bool]
    cpus: int


class Translation(msgspec.Struct, frozen=True):
    """What a line of PM2's means.

    Attributes:
        lines: our commands, without the word `fastlb`, in their order.
        notes: one sentence for each flag that has no effect.
        is_silent: nothing but errors is to be printed.
    """

    lines: list[list[str]]
    notes: list[str] = []
    is_silent: bool = False


class _Line(msgspec.Struct):
    """A line of PM2's, taken apart."""

    words: list[str]
    flags: list[tuple[str, list[str]]]
    rest: list[str]

    def has(self, *names: str) -> bool:
        return any(name in names for name, _ in self.flags)


def translate(arguments: Sequence[str], around: Surroundings) -> Translation:
    """Return what PM2's `arguments` mean.

    Raises:
        UsageError: it is no command or flag of PM2's, or one that is not here; says what to do instead.
    """
    line = _taken_apart(arguments)
    if not line.words:
        if line.has("-v", "--version"):
            return Translation([["version", "--number"]], ["this is fastlb, called as pm2, and its number"])
        return Translation([["--help"]])
    name, *words = line.words
    ours = _our_words(name, around.commands)
    if line.has("-h", "--help"):
        return Translation([[*ours, "--help"]])  # whatever else stands there is not done
    notes: list[str] = []
    if ours[0] in ("start", "serve"):
        lines = (_starts if ours[0] == "start" else _serves)(words, line, around, notes)
    else:
        if name == "sendSignal":
            words = [*words[1:], *words[:1]]
        if ours[0] == "init":
            words = [word for word in words if word != "simple"]  # of two templates there; here there is one
        changes = _changes(line, ours[0], words, around)
        options = _options(_without(line, changes), ours[0], around, notes)
        if ours[0] == "logs" and not line.has("--out", "--err"):
            options += [stream for stream in APP_STREAMS if stream in around.options_of("logs")]
        if ours[0] == "logs" and "--pm-id" in around.options_of("logs"):
            options.append("--pm-id")
        lines = [[*ours, *options, *words, *(["--", *line.rest] if line.rest else [])]]
        lines = _with_changes(lines, changes, words)
    if line.has("--attach"):
        lines.append(["logs", "--pm-id", *words, "--follow"])
    return Translation(lines, list(dict.fromkeys(notes)), line.has("-s", "--silent"))


def _our_words(name: str, commands: Collection[str]) -> tuple[str, ...]:
    command = find_command(name)
    if command is None:
        meant = nearest(name, [known for row in COMMANDS for known in row.names])
        raise UsageError(f"pm2 has no command {name!r}" + (f"; did you mean {meant}?" if meant else "; see pm2 --help"))
    if not command.ours or command.ours[0] not in commands:
        raise UsageError(f"pm2 {name} {sentence_of(command)}")
    return command.ours


def _taken_apart(arguments: Sequence[str]) -> _Line:
    words = list(arguments)
    rest: list[str] = []
    if "--" in words:
        at = words.index("--")
        words, rest = words[:at], words[at + 1 :]
    line = _Line([], [], rest)
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-" or NUMBER.fullmatch(word):
            line.words.append(word)
            continue
        flag, has_value, value = word.partition("=")
        line.flags.append((flag, [value] if has_value else _values(flag, line.words[:1], words)))
    return line


def _values(name: str, command: Sequence[str], following: list[str]) -> list[str]:
    """Take the values of a flag from what follows it.

    Raises:
        UsageError: there is no such flag, or it has no value.
    """
    row = find_command(command[0]) if command else None
    flag = find_flag(name, row.ours[0] if row and row.ours else "")
    if flag is None:
        meant = nearest(name, [known for flag in FLAGS for known in flag.names if known.startswith("--")])
        raise UsageError(f"pm2 has no flag {name}" + (f"; did you mean {meant}?" if meant else "; see pm2 --help"))
    if flag.values == "none":
        return []
    if flag.values == "one":
        if not following:
            raise UsageError(f"pm2 {name}: its value is missing")
        return [following.pop(0)]
    values: list[str] = []
    while following and not following[0].startswith("-") and (flag.values == "many" or not values):
        values.append(following.pop(0))
    return values


def _starts(words: Sequence[str], line: _Line, around: Surroundings, notes: list[str]) -> list[list[str]]:
    """Return a line for each target of PM2's `start`."""
    does = "run" if line.has("--no-daemon") else "start"
    lines = []
    for target in words or [DEFAULT_FILE]:
        if does == "start" and around.is_running(target):
            lines.append(["restart", *_options(line, "restart", around, notes), target])
            continue
        options = _options(line, does, around, notes)
        is_script = is_node_file(target) and not is_config_file(target)
        if is_script and not line.has("-i", "--instances", "-x", "--execute-command"):
            options.append("--fork")  # as there: cluster mode is what asks for a number of instances
        lines.append([does, *options, target, *(["--", *line.rest] if line.rest else [])])
    return lines


def _serves(words: Sequence[str], line: _Line, around: Surroundings, notes: list[str]) -> list[list[str]]:
    """Return the line for a directory of files: by default the one where one is, on port 8080 of every address."""
    directory, port, *_ = [*words, "", ""]
    options = _options(line, "serve", around, notes)
    if port or "--bind" not in options:
        port, options = port or "8080", [word for word in options if not word.startswith(ANY_ADDRESS)]
        options = [word for word in options if word != "--bind"] + ["--bind", f"{ANY_ADDRESS}{port}"]
    return [["serve", *options, directory or "."]]


def _options(line: _Line, ours: str, around: Surroundings, notes: list[str]) -> list[str]:
    """Return the flags of a line as options of our command; add a note for each that is none."""
    known = around.options_of(ours)
    options: list[str] = []
    for name, values in line.flags:
        flag = find_flag(name, ours)
        if flag is None or name in ("-s", "--silent", "--attach", "--no-daemon"):
            continue
        if flag.option in known:
            options += _option(flag, values, around.cpus)
        else:
            notes.append(f"{name} has no effect: {_instead(flag, ours, around)}")
    return options


def _changes(line: _Line, ours: str, words: Sequence[str], around: Surroundings) -> dict[str, str]:
    """Return, by flag, the settings that a restart or reload is told to change, as `set` takes them.

    Of a file's apps the file says the settings.
    """
    if ours not in CHANGING or "set" not in around.commands or any(map(is_config_file, words)):
        return {}
    changes: dict[str, str] = {}
    for name, values in line.flags:
        flag = find_flag(name, ours)
        is_setting = flag is not None and not flag.only_for and flag.option not in NOT_CHANGED
        if flag is None or not is_setting or flag.option not in around.options_of("start"):
            continue
        if flag.option.startswith("--no-"):
            value = "off"
        else:
            options = _option(flag, values, around.cpus)
            is_several = flag.values == "many" or len(options) > TWO
            value = " ".join(options[1::TWO]) if is_several else options[-1]
        setting = flag.option.removeprefix("--no-").removeprefix("--").replace("-", "_")
        changes[name] = f"{setting}={'on' if value == flag.option else value}"
    return changes


def _without(line: _Line, changes: Collection[str]) -> _Line:
    return _Line(line.words, [(name, values) for name, values in line.flags if name not in changes], line.rest)


def _with_changes(lines: list[list[str]], changes: dict[str, str], words: Sequence[str]) -> list[list[str]]:
    """Return lines between those that change what the next workers have, and how many there are."""
    workers = [text.partition("=")[2] for text in changes.values() if text.startswith("workers=")]
    others = [text for text in changes.values() if not text.startswith("workers=")]
    before = [["set", word, *others] for word in words] if others else []
    return [*before, *lines, *(["scale", word, workers[-1]] for word in words if workers)]


def _instead(flag: Pm2Flag, ours: str, around: Surroundings) -> str:
    """Return what to do, where a flag does nothing."""
    at_start = flag.option in around.options_of("start") and not flag.only_for
    if at_start and ours not in ("start", "run"):
        return f"it counts at a start, `fastlb start NAME {flag.option}` after a stop"
    if flag.option and flag.verdict not in ("later", "not here", "different"):
        return "it is to come" if flag.option not in around.options_of("start") else f"it is not for {ours}"
    return flag.here.rstrip(".")


def _option(flag: Pm2Flag, values: Sequence[str], cpus: int) -> list[str]:
    if flag.values == "none" or not values:
        return [flag.option]
    if flag.option == "--watch-include":
        return [word for part in values[0].split(",") for word in (flag.option, f"*.{part.lstrip('.')}")]
    if flag.values == "many":
        return [word for value in values for part in value.split(",") for word in (flag.option, part)]
    return [flag.option, _value(flag, values[0], cpus)]


def _value(flag: Pm2Flag, value: str, cpus: int) -> str:
    if flag.is_milliseconds and NUMBER.fullmatch(value):
        return f"{value}ms"
    if "--port" in flag.names:
        return f"{ANY_ADDRESS}{value}"
    if "--basic-auth-password" in flag.names:
        return f"{PASSWORD_VARIABLE}={value}"
    if flag.option != "--workers":
        return value
    if value == "0":
        return "max"
    return str(max(cpus + int(value), 1)) if re.fullmatch(r"-\d{1,4}", value) else value
