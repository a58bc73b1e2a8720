"""Owns the table of PM2's commands: what each is there, what it is here, and what is typed here instead. Pure.

Runs in the user's shell. The page docs/coming-from-pm2.md is made of it, and `pm2` (a link to us) obeys it.
"""

from collections.abc import Collection
from typing import Literal

import msgspec

# same: it does here what it does there. better: the same, without a fault that it has there. different: its purpose is
# met in another way. later: it is to come. not here: it will not; `here` names what to use.
CommandVerdict = Literal["same", "better", "different", "later", "not here"]


class Pm2Command(msgspec.Struct, frozen=True, kw_only=True):
    """One command of PM2's.

    Attributes:
        names: every way to write it there, the usual one first.
        there: what it does there.
        verdict: how that compares with what it is here; see `verdict_among`.
        here: what it is here, or what to use instead; one sentence.
        ours: what is typed here; empty: nothing.
    """

    names: tuple[str, ...]
    there: str
    verdict: CommandVerdict
    here: str
    ours: tuple[str, ...] = ()

    def verdict_among(self, commands: Collection[str]) -> CommandVerdict:
        """Return the verdict where our commands are `commands`: what is none of them is to come."""
        return "later" if self.ours and self.ours[0] not in commands else self.verdict


def _row(
    names: str, there: str, verdict: CommandVerdict, here: str, ours: str = ""
) -> Pm2Command:
    return Pm2Command(names=tuple(names.split()), there=there, verdict=verdict, here=here, ours=tuple(ours.split()))


MODULES = "Nothing is installed into it: rotation, metrics and limits are built in, and else npm or pip is the tool."
SAAS = "Nothing is sent to a service: `fastlb list --json` and `fastlb events --json` are for the monitoring you have."
GIT = "Let git, or your pipeline, put the new code where the app runs, then `fastlb reload NAME`."
SETTINGS = "There are no modules to be configured; settings of an app are options of `fastlb start NAME`."
DAEMON = "There is no daemon that serves all apps: each has its own supervisor, and perf and py-spy look at it."

COMMANDS: tuple[Pm2Command, ...] = (
    _row("start", "start a script, a file of apps, or again what is listed", "better",
         "The same; it waits until the app serves, and fails if it does not.", "start"),
    _row("restart", "stop and start each", "better",
         "The same, after what is under way is finished; connections wait meanwhile.", "restart"),
    _row("reload gracefulReload softReload", "new processes before the old ones go, in cluster mode", "better",
         "The same; if the new code does not start, nothing is changed and the exit code is 1. Typed as `pm2`"
         " it starts what is stopped.", "reload"),
    _row("stop", "stop, and keep in the list", "better", "The same, after what is under way is finished.", "stop"),
    _row("delete del", "stop and forget", "same", "The same; logs stay.", "delete"),
    _row("startOrRestart", "restart what a file names, start what does not run", "better",
         "What runs is made to match the file.", "restart"),
    _row("startOrReload startOrGracefulReload", "the same with reload", "better",
         "What runs is made to match the file, without a gap.", "reload"),
    _row("scale", "set or add instances; `-1` crashes", "better",
         "`N`, `+N`, `-N` and `max`; the newest are drained first.", "scale"),
    _row("list ls l ps status", "the table", "better",
         "The same, with requests and open connections; into a pipe one row an instance.", "list"),
    _row("jlist", "JSON with all variables, secrets too", "better", "The same shape; values are hidden.", "jlist"),
    _row("prettylist", "the same, indented", "better", "The same shape; values are hidden.", "prettylist"),
    _row("slist sysinfos", "figures of the machine", "not here", "`vmstat`, `top` and node_exporter tell them."),
    _row("describe desc info show", "details of a process, without cpu and memory", "better",
         "Everything that is known of an app, or of the one worker of a number.", "show"),
    _row("env", "variables of a process", "same", "Those that the kernel says the process was started with.", "env"),
    _row("pid", "pids of an app", "same", "The same.", "pid"),
    _row("id", "numbers of an app", "same", "The same.", "id"),
    _row("logs", "last lines, then follow", "better",
         "All streams and events in the order of time, exact to the line.", "logs"),
    _row("flush", "empty the log files", "same", "The same.", "flush"),
    _row("reloadLogs", "open the log files anew", "different",
         "A moved file is opened anew by itself; the command does it at once.", "reload-logs"),
    _row("logrotate", "write a configuration of logrotate, which loses lines", "better",
         "Rotation is built in: `--rotate-logs`, `--max-size`, `--rotate-interval`; docs/logs.md."),
    _row("monit dashboard dash imonit", "a console on the terminal", "same",
         "Apps, workers, graphs and output; keys reload, restart, scale and stop an app.", "monit"),
    _row("save dump", "write down what runs, with the whole environment, for every user to read", "better",
         "The same: 0600, with declared variables alone, at once or not at all.", "save"),
    _row("cleardump", "forget that", "same", "The same.", "cleardump"),
    _row("resurrect", "start what was saved", "better",
         "The same, what was stopped included; a damaged file falls back to the one before it.", "resurrect"),
    _row("startup", "install a unit of the init system", "better",
         "A unit of systemd, or a script of OpenRC, for each app that was saved: docs/systemd.md.", "startup"),
    _row("unstartup", "remove it", "better", "All that `startup` wrote.", "unstartup"),
    _row("kill", "stop everything, and the daemon", "better", "The same, after what is under way is finished.", "kill"),
    _row("ping", "pong, starting the daemon", "different", "It says which apps answer; there is no daemon.", "ping"),
    _row("update updatePM2 deepUpdate", "kill all, start the new daemon, resurrect", "better",
         "Each app is run by the version that is installed; nobody is refused meanwhile: docs/upgrading.md.", "update"),
    _row("reset", "counters to zero", "same", "The same.", "reset"),
    _row("sendSignal", "a signal to a process", "same", "The same: `signal NAME SIGNAL`.", "signal"),
    _row("send", "a line to standard input", "same", "The same, in fork mode.", "send"),
    _row("attach", "standard input and output of a process", "same", "The same, in fork mode.", "attach"),
    _row("trigger", "an action that the app offers by PM2's library", "better",
         "The same, and heap dumps and profiles without a module; one that does not exist is answered.", "trigger"),
    _row("inspect", "open the inspector of Node in an app", "different",
         "`kill -USR1 $(fastlb pid 0)` opens it; or `--interpreter-args=--inspect`."),
    _row("profile:mem profile:cpu", "profile the daemon", "not here", DAEMON),
    _row("init ecosystem", "write a file to begin with", "same", "The same.", "init"),
    _row("create examples", "write examples", "different", "Examples are below every `--help`."),
    _row("serve expose", "a server of static files, each read into memory as a whole", "better",
         "The same, with ranges, versions and what is compressed; no list of a directory.", "serve"),
    _row("report", "a report for a bug", "better", "The same, without values of variables.", "report"),
    _row("completion", "completion of bash", "better", "The same for bash, zsh and fish.", "completion"),
    _row("deploy", "a script over ssh with git", "not here", GIT),
    _row("pull forward backward", "git, then reload", "not here", GIT),
    _row("set get unset multiset conf config", "settings of modules", "not here", SETTINGS),
    _row("install module:install module:update module:generate uninstall package publish module:publish autoinstall",
         "modules", "not here", MODULES),
    _row("install-otel uninstall-otel", "packages for tracing", "not here",
         "The app's own OpenTelemetry is left alone: install it where the app is."),
    _row("link unlink monitor unmonitor open plus register login logout", "pm2.io", "not here", SAAS),
)  # fmt: skip


def find_command(name: str) -> Pm2Command | None:
    """Return PM2's command of this name; None: it has none."""
    return next((command for command in COMMANDS if name in command.names), None)


def advice_on(name: str, commands: Collection[str]) -> str:
    """Return what to type, or do, instead of PM2's command of this name, a phrase; empty: it has none.

    `commands`: ours.
    """
    command = find_command(name)
    if command is None:
        return ""
    if command.ours and command.ours[0] in commands:
        return f"did you mean {' '.join(command.ours)}?"
    return f"it is PM2's, and {sentence_of(command)}"


def sentence_of(command: Pm2Command) -> str:
    """Return the answer to a command that is not here, or not yet: a phrase for after its name."""
    if command.ours and command.verdict != "later":
        return "is to come"
    when = "is to come" if command.verdict == "later" else "is not here"
    return f"{when}: {command.here.rstrip('.')}"
