"""Owns the entry of the command `fastlb`: which commands there are, and how every failure ends.

Runs in the user's shell. It imports a command's module only when it is used.
"""

import importlib
import io
import os
import signal
import sys

import click

from ..supervisor.errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_USAGE, FastlbError, UsageError
from ..supervisor.suggestions import harmless, nearest
from .options import called_as_pm2, no_color_option
from .output import Output

# By it a shell asks for completion.
COMPLETE_VARIABLE = "_FASTLB_COMPLETE"
# By what they are for, in the order in which one comes to need them.
GROUPS: dict[str, tuple[str, ...]] = {
    "Run apps": (
        "start",
        "run",
        "serve",
        "stop",
        "restart",
        "reload",
        "canary",
        "set",
        "scale",
        "delete",
        "reset",
        "kill",
        "update",
    ),
    "See what runs": (
        "list",
        "show",
        "logs",
        "events",
        "alerts",
        "metrics",
        "doctor",
        "env",
        "pid",
        "id",
        "ping",
        "top",
        "monit",
        "console",
        "jlist",
        "prettylist",
    ),
    "Speak to workers": ("send", "attach", "signal", "trigger"),
    "Files of apps": ("flush", "reload-logs", "init", "check", "config", "convert", "export", "advise"),
    "Keep": ("save", "resurrect", "cleardump", "backup", "restore", "startup", "unstartup"),
    "This program": ("completion", "link-pm2", "report", "version"),
}
COMMANDS = tuple(name for group in GROUPS.values() for name in group)
ALIASES = {
    "startOrRestart": "restart",
    "startOrReload": "reload",
    "startOrGracefulReload": "reload",
    "ecosystem": "init",
    "expose": "serve",
    "ls": "list",
    "l": "list",
    "ps": "list",
    "status": "list",
    "describe": "show",
    "desc": "show",
    "info": "show",
    "del": "delete",
    "rm": "delete",
    "dump": "save",
    "gracefulReload": "reload",
    "softReload": "reload",
    "dashboard": "monit",
    "dash": "monit",
    "imonit": "monit",
    "reloadLogs": "reload-logs",
    "sendSignal": "signal",
}


class CommandGroup(click.Group):
    """Finds a command NAME as `commands/NAME.py`, whose `command` it is."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every command, in the order in which one comes to need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name or alias; None: there is none."""
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f".commands.{name.replace('-', '_')}", __package__)
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One list for each group."""
        for title, names in GROUPS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl([(name, command.get_short_help_str(80)) for name, command in commands if command])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click, but with the nearest name when there is no such command."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise UsageError(f"there is no command {args[0]!r}; {_what_to_do(args[0])}")
        return super().resolve_command(ctx, args)


def _what_to_do(unknown: str) -> str:
    from .other_tools import COMMANDS as ELSEWHERE

    known = [*COMMANDS, *ALIASES]
    meant = "".join(harmless([nearest(unknown, known) or ""]))
    if unknown in ELSEWHERE:
        return ELSEWHERE[unknown]
    from .pm2.commands import advice_on

    return advice_on(unknown, COMMANDS) or (f"did you mean {meant}?" if meant else "see fastlb --help")


def _print_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from .commands.version import version_text

        click.echo(version_text())
        ctx.exit()


@click.group(
    cls=CommandGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExamples:\n  fastlb start --workers 8 server:app\n  fastlb list\n  fastlb reload server",
)
@click.option("-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Every core of one machine behind one port, for apps that were written for one process.

    Completion for bash: eval "$(fastlb completion bash)"; also for zsh and fish.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        ctx.exit(EXIT_USAGE)


def main() -> int:
    """Run the command line and return the exit code: 0, 1 for a failure, 2 for wrong usage, 130 for ^C."""
    if not sys.platform.startswith("linux"):
        sys.stderr.write("fastlb runs on Linux only: it is built on epoll, memfd, pidfd and SCM_RIGHTS.\n")
        return EXIT_FAILURE
    _prepare_standard_streams()
    try:
        _interrupt_by_exception()
        return _run()
    except FastlbError as error:
        Output.for_errors().error(error.message, error.details)
        return error.exit_code
    except click.ClickException as error:
        Output.for_errors().error(_explain(error))
        return error.exit_code
    except BrokenPipeError:
        return EXIT_FAILURE
    except OSError as error:
        Output.for_errors().error(f"{error.filename or 'cannot write the output'}: {error.strerror or error}")
        return EXIT_FAILURE
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    finally:
        _flush_output()


def _interrupt_by_exception() -> None:
    """From here on what was begun is given back on ^C; entry.py let it end us."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _prepare_standard_streams() -> None:
    """Open the null device in place of closed streams; write characters that a terminal cannot show as escapes."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number, which is this one
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - open to the end of the process
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115 - open to the end of the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _flush_output() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        # Whoever read us has seen enough, or a disk is full, which was said. Without this the interpreter
        # complains when it flushes at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".").replace("is not a valid integer range", "is not a whole number")
    context = getattr(error, "ctx", None)
    return f"{context.command_path}: {message}; see {context.command_path} --help" if context else message


def _run() -> int:
    if called_as_pm2() and COMPLETE_VARIABLE not in os.environ:
        from .pm2_link import run_as_pm2

        return run_as_pm2(sys.argv[1:], cli)
    result = cli.main(prog_name="fastlb", standalone_mode=False)
    sys.stdout.flush()
    return result if isinstance(result, int) else 0


cli.params.append(no_color_option())
