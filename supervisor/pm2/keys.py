"""Owns what PM2 calls things in a configuration file, and what each is here. Pure; the user's shell.

Names, meanings and defaults are those of PM2 7.0.3 (lib/API/schema.json and the code that reads it), and of guides that name more
keys than it has. docs/pm2-keys.md is made of this table; whoever reads a file of PM2's asks it as well.
"""

import functools
import re

from .key import KeySection, Pm2Key, millis, plain, unknown_there

_NO_MONITORING = "Nothing of ours is loaded into an app to measure it, and nothing is sent to anybody: leave it out."
_LEAVE_OUT = "It changes nothing: leave it out."

APP = KeySection("App", (
    plain("script", "the program that is run", "same", "The target: a script, a directory or `package.json` of Node, `module:attribute` of Python, any program.", "target", "exec"),
    plain("cmd", "the same as script", "same", "The target.", "target", "command"),
    plain("name", "name in every command; a variable `name` in the shell wins over it [the script's name]", "better", "The same, and no variable can change it.", "name"),
    plain("namespace", "a group of apps that commands take as a target [default]", "same", "A group of apps, shown by `list --json` and `show`.", "namespace"),
    plain("args", "arguments of the script", "same", "Arguments of the app, behind `--`.", "args"),
    plain("cwd", "working directory, which no later restart or reload changes", "better", "The same, and a reload changes it.", "cwd"),
    plain("exec_mode", "`fork`, or `cluster` for Node alone [fork, or cluster with `instances`]", "better", "The same, and Python apps have cluster mode, too.", "exec_mode"),
    plain("execute_command", "fork mode", "same", "Give `exec_mode: fork`."),
    plain("instances", "how many processes; `max` is every CPU of the machine, -1 all but one [1]", "better", "The same, and `max` is the CPUs that this process may use.", "workers"),
    plain("interpreter", "what runs the script, in fork mode alone", "better", "The same in fork mode, and in cluster mode the Python, node, tsx or deno that runs the workers.", "interpreter", "exec_interpreter"),
    plain("node_args", "options of the interpreter; in cluster mode those of the app that was started last hold for all", "better", "Options of the interpreter of this app.", "interpreter_args", "interpreter_args"),
    plain("uid", "user of the process; a worker of cluster mode starts as root and changes itself", "better", "The same, set before the program starts, with all groups of the user, and checked.", "uid", "user"),
    plain("gid", "group of the process", "same", "The same.", "gid"),
    plain("force", "start what runs already once more", "not here", "An app runs once under a name: give another `name`."),
    plain("autostart", "false: the app is listed, and not started [true]", "same", "Of an app in a file: it is known, and `fastlb start NAME` starts it."),
    plain("name_prefix", "set by modules, in front of the name", "not here", _LEAVE_OUT),
    plain("append_env_to_name", "the name ends with that of the chosen environment", "not here", "Give each its own `name`."),
    plain("username", "shown in the list", "not here", "The list shows what runs; give `uid` to choose whose processes they are."),
    plain("install_url", "where a module came from", "not here", _LEAVE_OUT),
    plain("windowsHide", "no window on Windows", "not here", _LEAVE_OUT),
    plain("write", "write a JSON file of what was typed", "not here", "What an app was started with is kept by itself: `fastlb show NAME`."),
))  # fmt: skip

ENVIRONMENT = KeySection("Environment", (
    plain("env", "variables, over the whole environment of the shell; removing one needs `delete`", "better", "The same, and what is taken out is gone after the next reload.", "env"),
    plain("env_*", "variables that `--env NAME` chooses, over `env`", "same", "The same, of a file that `fastlb start FILE --env NAME` reads.", "env"),
    unknown_there(plain("env_file", "taken for the environment named `file`, and never read", "better", "Files of KEY=VALUE that the variables are read from.", "env_file")),
    plain("filter_env", "variables of the shell that the app is not to have: every one that contains a given text; true, for all, does nothing", "better", "Variables of the shell that the app is not to have, by name or beginning; true: all.", "filter_env"),
    Pm2Key(name="port", there="sets PORT", verdict="same", here="Give `env: PORT`, or `bind` in cluster mode.", variable="PORT"),
    plain("instance_var", "variable that holds the number of the instance [NODE_APP_INSTANCE]", "same", "The same.", "instance_var"),
    plain("increment_var", "variable that grows by one from instance to instance, and is never used again after a scale", "better", "The same, and a number that has become free is used again.", "increment_var"),
))  # fmt: skip

LOGS = KeySection("Logs", (
    plain("out_file", "file of standard output; nothing in the path is filled in", "better", "The same, with ${name}, ${instance}, ${pid} and ${date} in the path.", "out_file", "out", "output", "out_log"),
    plain("error_file", "file of standard error", "better", "The same, with ${name}, ${instance}, ${pid} and ${date} in the path.", "error_file", "error", "err", "err_file", "err_log"),
    plain("log_file", "file of both", "better", "The same, in the order in which lines came.", "log_file", "log"),
    plain("merge_logs", "one file for all instances, otherwise each has its own, with the number of the process [false]", "different", "The same, with the number of the worker; true unless it is said otherwise.", "merge_logs", "combine_logs"),
    plain("disable_logs", "write nothing", "same", "The same.", "disable_logs"),
    plain("log_type", "`json`: an object for each piece that was read, of several lines perhaps", "better", "`json`: an object for each line.", "log_type"),
    plain("log_date_format", "time in front, by day.js' tokens", "same", "The same, by these tokens or by those of strftime.", "log_date_format"),
    plain("time", "time in front, in place of `log_date_format`; loses the end of what has no line's end", "better", "Time in front of each line; a given `log_date_format` stays.", "time"),
    unknown_there(plain("max_size", "of the module pm2-logrotate, for all apps at once", "better", "A larger log file of this app is rotated.", "max_size")),
    unknown_there(plain("retain", "of the module pm2-logrotate, for all apps at once", "better", "So many rotated files of each log of this app are kept.", "retain")),
    unknown_there(plain("compress", "of the module pm2-logrotate, for all apps at once", "better", "Rotated files of this app are compressed.", "compress")),
    unknown_there(plain("rotate_logs", "nothing", "better", "Log files are rotated.", "rotate_logs")),
    plain("pid_file", "file of the process's number, one for each instance", "not here", "`fastlb list --json` tells the numbers of all processes.", "", "pid"),
))  # fmt: skip

LIFE = KeySection("Life of a process", (
    plain("wait_ready", "an instance is ready when it says so; after `listen_timeout` it counts as ready all the same", "better", "The same, and one that does not say so in time has failed: the old ones go on.", "wait_ready"),
    millis("listen_timeout", "how long readiness is waited for, then all goes on as if it were there [3 s]", "better", "Time to become ready; after it the start or reload has failed [60 s].", "listen_timeout"),
    millis("kill_timeout", "time from SIGINT to SIGKILL; connections are not drained [1.6 s]", "better", "Time for what is under way, from the moment that a worker gets nothing new [30 s].", "kill_timeout"),
    millis("kill_retry_time", "how often it is looked whether a process has ended [0.1 s]", "not here", "The kernel tells at once when a process has ended: leave it out."),
    plain("treekill", "every process below it is signalled as well [true]", "different", "The group is ended after `kill_timeout`; on: every process below it is signalled as well.", "treekill"),
    plain("shutdown_with_message", "the message `shutdown` in place of SIGINT, but not on a reload", "better", "The same, whenever a worker is to finish.", "shutdown_with_message"),
    plain("autorestart", "false: what has ended stays down [true]", "same", "The same; an exit with code 0 is `finished`.", "autorestart"),
    plain("stop_exit_codes", "exit codes after which it stays down; the end by a signal counts as 0", "better", "The same, and a signal is no exit code.", "stop_exit_codes"),
    millis("restart_delay", "pause before a restart; a long one makes `max_restarts` mean nothing [0]", "better", "The same; crashes are counted whatever it is.", "restart_delay"),
    millis("exp_backoff_restart_delay", "first pause before a restart, which grows by half each time, to 15 s; wins over `restart_delay`", "same", "The same, with up to a quarter more by chance; a stable exit ends the growth.", "exp_backoff_restart_delay"),
    plain("max_restarts", "unstable exits after which it is given up; counting ends 16 s after the start [16]", "better", "Unstable exits within `restart_window` after which it is given up, however long it ran before [15].", "max_restarts"),
    millis("min_uptime", "an end before this counts as unstable [1 s]", "same", "The same, counted from when it was ready.", "min_uptime"),
    Pm2Key(name="max_memory_restart", there="above this an instance is restarted: its main process, looked at every 30 s; `1.5G` keeps every app of the file from starting", verdict="better", here="Above this, with all processes below it, a worker is replaced by a new one that serves first; `1.5G` is understood.", setting="max_memory_restart", number_unit="bytes"),
    unknown_there(millis("reload_delay", "nothing", "better", "Pause between two replacements of a reload.", "reload_delay")),
    unknown_there(millis("health_check_interval", "nothing: there are no health checks", "better", "Time between two health checks.", "health_check_interval")),
    unknown_there(millis("health_check_grace_period", "nothing: there are no health checks", "better", "Time without health checks after a start.", "health_check_grace_period")),
    unknown_there(plain("min_instances", "nothing", "better", "Fewest workers of an app that is scaled by its load, in cluster mode.", "min_instances")),
    unknown_there(plain("max_instances", "nothing", "better", "Most workers of such an app; without it the load changes nothing.", "max_instances")),
    unknown_there(plain("scale_cpu", "nothing", "better", "Percent of one core, mean of the workers, above which more are started.", "scale_cpu")),
    unknown_there(plain("scale_memory", "nothing", "better", "A brake: no more workers than so many percent of the memory hold.", "scale_memory")),
))  # fmt: skip

CLOCK_AND_FILES = KeySection("By the clock, and on a change of files", (
    plain("cron_restart", "a hard restart of every instance at the same moment; 0: none", "better", "A reload at these times, which loses no request; 0: none.", "cron_restart", "cron"),
    plain("watch", "a hard restart when a file changes; each instance watches for itself", "better", "A reload: when the new code does not start, the old goes on.", "watch"),
    plain("ignore_watch", "files that are not watched, in place of the default", "better", "The same, and `default` among them stands for the default.", "ignore_watch"),
    millis("watch_delay", "pause before that restart [0]", "better", "Time without a change after which those before it are one [250 ms].", "watch_delay"),
    plain("watch_options", "options of chokidar", "not here", "The kernel tells of changes, nothing is polled, and links are followed: `watch_include` says which files count."),
    plain("vizion", "reads what git says of the directory, if that is turned on", "not here", _LEAVE_OUT),
    plain("post_update", "commands after `pm2 pull`", "not here", "Whatever brings new code ends with `fastlb reload NAME`."),
))  # fmt: skip

MEASURING = KeySection("Measuring", (
    plain("pmx", "loads a library into Node apps, which measures and sends [true]", "not here", _NO_MONITORING),
    plain("automation", "false is `pmx: false`", "not here", _NO_MONITORING),
    plain("io", "settings of that library", "not here", _NO_MONITORING),
    plain("trace", "OpenTelemetry; installs packages when it is first used", "not here", _NO_MONITORING),
    plain("disable_trace", "no OpenTelemetry", "not here", _NO_MONITORING),
    plain("v8", "figures of the engine", "not here", _NO_MONITORING),
    plain("event_loop_inspector", "figures of the event loop", "not here", _NO_MONITORING),
    plain("deep_monitoring", "all figures", "not here", _NO_MONITORING),
    unknown_there(plain("monitor_mode", "nothing", "not here", _NO_MONITORING)),
    plain("source_map_support", "Node reads source maps [true]", "not here", "Give `node_args: --enable-source-maps`."),
    plain("disable_source_map_support", "Node does not read source maps", "not here", "Node reads none unless `node_args` has --enable-source-maps: leave it out."),
))  # fmt: skip

ALERTS = KeySection("Alerts", (
    unknown_there(millis("alerts", "nothing: a guide has a script that tells", "better", "Who is told when something is wrong: `email`, `webhook`, `command`, `sms`; true: nobody, but it is shown.", "alerts")),
    unknown_there(millis("thresholds", "nothing", "better", "Limits of alerts: `cpu`, `memory` in percent, `restart` in a number, `response_time` in milliseconds.", "alerts")),
    unknown_there(millis("intervals", "nothing", "better", "How often alerts look (`health_check`), and how long something must last (`performance`); nothing reads what the logs say.", "alerts")),
    unknown_there(millis("monitoring", "nothing", "better", "The three above in one object.", "alerts")),
))  # fmt: skip

KEYS = (APP, ENVIRONMENT, LOGS, LIFE, CLOCK_AND_FILES, MEASURING, ALERTS)

# What may stand beside the apps in a file.
FILE_KEYS = (
    plain("apps", "the apps; `pm2` is the same", "same", "The apps.", "", "pm2"),
    plain("static", "directories that are served as files", "not here", "`fastlb serve DIR PORT`, or an app with `script: serve` and `env: PM2_SERVE_PATH`: docs/serving-files.md."),
    plain("deploy", "where `pm2 deploy` brings the code, by ssh and git", "not here", "Whatever brings new code ends with `fastlb reload NAME`."),
)  # fmt: skip


@functools.cache
def _by_name() -> dict[str, Pm2Key]:
    return {name: key for section in KEYS for key in section.keys for name in key.names}


def find_key(name: str) -> Pm2Key | None:
    """Return the key that is written as `name` in a file of PM2's, in any of its ways; None: there is none.

    `env_file` is itself; any other `env_...` is one of the environments that `--env` chooses.
    """
    found = _by_name().get(name)
    if found is None and re.fullmatch(r"env_\S+", name):
        return _by_name()["env_*"]
    return found
