"""Owns what other tools (PM2, gunicorn, uvicorn) call things, and what to do here instead. Pure; the user's shell.

Options that mean the same as one of ours are aliases of the declared settings; here is what has no counterpart.
"""

RELOAD = "`fastlb run --reload` is for a laptop, and --watch reloads without losing a request"
IN_BACKGROUND = "`fastlb start` always runs in the background, `fastlb run` in the foreground: leave it out"
CONFIG_FILES = "a configuration file is the target: `fastlb start FILE`, with PM2's words or ours"
NO_PID_FILE = "there is no pid file: `fastlb list --json` tells the pid, and commands know the app by its name"
INTERFACE = "what the app speaks is found out by looking: leave it out, or give --interface asgi or wsgi"

OPTIONS: dict[str, str] = {
    "-D": IN_BACKGROUND,
    "--daemon": IN_BACKGROUND,
    "--no-daemon": IN_BACKGROUND,
    "-k": INTERFACE,
    "--worker-class": INTERFACE,
    "--wsgi": INTERFACE,
    "--asgi": INTERFACE,
    "--preload": "every worker imports the app itself: leave it out",
    "--preload-app": "every worker imports the app itself: leave it out",
    "--pid": NO_PID_FILE,
    "--pidfile": NO_PID_FILE,
    "-t": "did you mean --request-timeout?",
    "--config": CONFIG_FILES,
    "--reload": RELOAD,
    "--reload-dir": RELOAD,
    "--reload-include": RELOAD,
    "--reload-exclude": RELOAD,
    "--reload-extra-file": "did you mean --reload-include, of `fastlb run --reload`?",
    "--reload-engine": "the kernel tells of changes: leave it out",
    "--error-logfile": "did you mean --error-file?",
    "--access-logfile": "did you mean --access-file FILE?",
    "--reuse-port": "all workers share one listener, which needs no such option: leave it out",
    "-x": "did you mean --fork?",
    "--execute-command": "did you mean --fork?",
    "-f": "an app runs once under a name: give another --name",
    "--force": "an app runs once under a name: give another --name",
    "--attach": "`fastlb logs NAME` shows what the app writes, and `fastlb attach NAME` speaks to a program as well",
}

COMMANDS: dict[str, str] = {
    "help": "did you mean --help?",
    "log": "did you mean logs?",
}
