"""Owns the table of PM2's flags: what each takes, and which option here it is. Pure.

Runs in the user's shell. A flag that has no effect here has a sentence, which is printed when it is given.
"""

from typing import Literal

import msgspec

from .commands import CommandVerdict

# none: the flag stands alone. one: a value follows. maybe: one may follow. many: values up to the next flag.
Values = Literal["none", "one", "maybe", "many"]


class Pm2Flag(msgspec.Struct, frozen=True, kw_only=True):
    """One flag of PM2's.

    Attributes:
        names: every way to write it there.
        verdict: as of commands.
        here: what it is here; of one without effect: what to do instead. One sentence.
        values: what follows it there.
        option: what is given here instead, or to the command of the same name; empty: nothing.
        is_milliseconds: a number without a unit is milliseconds there.
        only_for: our commands that take it; empty: `start` and `run`.
    """

    names: tuple[str, ...]
    verdict: CommandVerdict
    here: str
    values: Values = "none"
    option: str = ""
    is_milliseconds: bool = False
    only_for: tuple[str, ...] = ()


def _row(names: str, verdict: CommandVerdict, here: str, option: str = "", only_for: str = "") -> Pm2Flag:
    """`names` end with what follows the flag: V, [V] or V...; an `option` that ends with =ms takes milliseconds."""
    *flags, last = names.split()
    values = VALUES.get(last, "none")
    return Pm2Flag(
        names=tuple(flags if values != "none" else [*flags, last]),
        verdict=verdict,
        here=here,
        option=option.removesuffix("=ms"),
        is_milliseconds=option.endswith("=ms"),
        values=values,
        only_for=tuple(only_for.split()),
    )


VALUES: dict[str, Values] = {"V": "one", "[V]": "maybe", "V...": "many"}
HOMES = "`FASTLB_HOME` says where the apps are, and units have names of their own: docs/systemd.md."
WAIT_IP = "`systemctl edit` the unit: `After=network-online.target`; a start that fails is tried again."
APM = "Nothing is measured inside the app, and nothing is sent away: leave it out."
CONTAINER = "It runs in a container and makes none: docs/containers.md."
FILES = "start run restart reload stop delete check"

FLAGS: tuple[Pm2Flag, ...] = (
    _row("-v --version", "same", "The same.", "--version"),
    _row("-h --help", "same", "The same.", "--help"),
    _row("-s --silent", "same", "Nothing is printed but errors."),
    _row("--no-color", "same", "The same.", "--no-color"),
    _row("-m --mini-list", "same", "One row an instance, as into a pipe.", "--instances", only_for="list"),
    _row("--sort V", "not here", "The list is by number: `fastlb list | sort -k 8` sorts it."),
    _row("-n --name V", "better", "The same, and no variable of the shell changes it.", "--name"),
    _row("--namespace V", "same", "The same.", "--namespace"),
    _row("--cwd V", "better", "The same, and a later start changes it.", "--cwd"),
    _row("--interpreter V", "better", "The same, in cluster mode, too.", "--interpreter"),
    _row("--interpreter-args --node-args V", "better", "Options of the interpreter of this app alone.",
         "--interpreter-args"),
    _row("-i --instances V", "better", "The same; `max` is the CPUs that this process may use.", "--workers"),
    _row("-x --execute-command", "same", "Fork mode.", "--fork"),
    _row("-u --user --uid V", "better", "The same, with all groups, before the program starts.", "--uid"),
    _row("--gid V", "same", "The same.", "--gid"),
    _row("--env V", "better", "The named variables of a file; or KEY=VALUE.", "--env", FILES),
    _row("-a --update-env", "better", "The same; what is not there any more is gone.", "--update-env",
         only_for="restart reload"),
    _row("--filter-env V", "better", "The same.", "--filter-env"),
    _row("--only V", "same", "Some apps of a file.", "--only", FILES),
    _row("-o --output V", "better", "The same, with ${name} and ${instance}.", "--out-file"),
    _row("-e --error V", "better", "The same, with ${name} and ${instance}.", "--error-file"),
    _row("-l --log [V]", "better", "The same, in the order in which lines came.", "--log-file"),
    _row("--log-type V", "better", "JSON: an object a line.", "--log-type"),
    _row("--log-date-format V", "same", "The same.", "--log-date-format"),
    _row("--time", "better", "The same, and no line is lost.", "--time"),
    _row("--disable-logs", "same", "The same.", "--disable-logs"),
    _row("--merge-logs", "different", "The same; it is on unless it is refused.", "--merge-logs"),
    _row("-k --kill-timeout V", "better", "Milliseconds; of a worker that is drained before.", "--kill-timeout=ms"),
    _row("--listen-timeout V", "better", "Milliseconds; when they are over the start has failed.",
         "--listen-timeout=ms"),
    _row("--wait-ready", "better", "The same; a worker that does not say it has failed.", "--wait-ready"),
    _row("--shutdown-with-message", "better", "The same, at a reload, too.", "--shutdown-with-message"),
    _row("--max-memory-restart V", "better", "The same, of all processes below it; `1.5G`, too.",
         "--max-memory-restart"),
    _row("--max-restarts V", "better", "Within `--restart-window`; a crash loop always ends.", "--max-restarts"),
    _row("--restart-delay V", "better", "Milliseconds.", "--restart-delay=ms"),
    _row("--exp-backoff-restart-delay V", "better", "Milliseconds; it grows.", "--exp-backoff-restart-delay=ms"),
    _row("--no-autorestart", "same", "The same.", "--no-autorestart"),
    _row("--stop-exit-codes V...", "better", "The same; a signal is no exit with 0.", "--stop-exit-codes"),
    _row("--no-treekill", "different", "The process alone is asked to end, unless `--treekill`.", "--no-treekill"),
    _row("--parallel V", "better", "Replacements at a time.", "--parallel", "reload"),
    _row("--no-daemon", "better", "`fastlb run`: in the foreground, with the app's exit code."),
    _row("--attach", "same", "After the start: what the app writes, until ^C."),
    _row("-f --force", "different", "An app runs once under a name: give another `--name`.", "--force",
         only_for="save"),
    _row("-c --cron --cron-restart V", "better", "A reload at these times, which loses no request; 0: none.",
         "--cron-restart"),
    _row("--watch [V]", "better", "A reload: when the new code does not start, the old goes on.", "--watch"),
    _row("--ignore-watch V...", "better", "The same, and `default` stands for the default.", "--ignore-watch"),
    _row("--watch-delay V", "same", "The same, in seconds.", "--watch-delay"),
    _row("--ext V", "better", "Patterns of files: `js,html` is `*.js` and `*.html`.", "--watch-include"),
    _row("-p --pid V", "not here", "There is no pid file: `fastlb pid NAME` tells pids."),
    _row("-w --write", "not here", "What an app was started with is kept by itself: `fastlb show NAME`."),
    _row("--no-autostart", "not here", "What is to run later is started later."),
    _row("--source-map-support", "different", "Give `--interpreter-args=--enable-source-maps`."),
    _row("--disable-source-map-support", "not here", "Nothing is put into the app: leave it out."),
    _row("--no-vizion", "not here", "git is not looked at: leave it out."),
    _row("--no-pmx --no-automation", "not here", APM),
    _row("--trace --disable-trace --v8 --event-loop-inspector --deep-monitoring", "not here", APM),
    _row("--hp --service-name V", "different", HOMES),
    _row("--wait-ip", "different", WAIT_IP),
    _row("--fresh --daemon", "not here", "`fastlb start` always runs in the background: leave it out."),
    _row("--container --dist", "not here", CONTAINER),
    _row("--image-name --node-version --dockerdaemon V", "not here", CONTAINER),
)  # fmt: skip
# Of commands that take flags of their own, which are ours as well.
OWN_FLAGS: dict[str, tuple[Pm2Flag, ...]] = {
    "logs": (
        _row("--lines V", "better", "The same, and exact.", "--lines"),
        _row("--nostream", "same", "The same.", "--nostream"),
        _row("--err", "same", "The same.", "--err"),
        _row("--out", "same", "The same.", "--out"),
        _row("--raw", "same", "The same.", "--raw"),
        _row("--json", "same", "The same.", "--json"),
        _row("--format", "same", "The same.", "--format"),
        _row("--timestamp [V]", "same", "The same.", "--timestamp"),
        _row("--highlight [V]", "same", "The same.", "--highlight"),
    ),
    "startup": (_row("-u --user V", "same", "As root: whose apps.", "--username"),),
    "unstartup": (_row("-u --user V", "same", "As root: whose apps.", "--username"),),
    "serve": (
        _row("--port V", "same", "The same, on every address as there.", "--bind"),
        _row("--spa", "better", "The same, but a script that is missing is not answered with a page.", "--spa"),
        _row("--basic-auth-username V", "same", "The same.", "--basic-auth-username"),
        _row("--basic-auth-password V", "better",
             "It becomes a variable of the app; better is `--basic-auth-password-file`.", "--env"),
        _row("--ftp", "not here", "A directory is not listed: give it an index.html."),
        _row("--monitor V", "not here", APM),
    ),
    "list": (_row("--watch", "same", "The same.", "--watch"),),
}


def find_flag(name: str, command: str = "") -> Pm2Flag | None:
    """Return PM2's flag of this name for one of our commands; None: it has none."""
    own = OWN_FLAGS.get(command, ())
    return next((flag for flag in (*own, *FLAGS) if name in flag.names), None)
