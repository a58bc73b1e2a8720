"""Owns docs/coming-from-pm2.md: written from the tables of PM2's commands and flags, never by hand.

python -m fastlb.cli.pm2_page > docs/coming-from-pm2.md
"""

import sys
from collections.abc import Sequence

from .main import COMMANDS as OURS
from .pm2.commands import COMMANDS, CommandVerdict, Pm2Command
from .pm2.flags import FLAGS, OWN_FLAGS, Pm2Flag

PAGE = """\
# Coming from PM2

```
fastlb link-pm2 ~/bin        # makes ~/bin/pm2, a link to fastlb
pm2 start app.js -i 4 -k 3000
pm2 ls
```

Called as `pm2`, commands, flags and numbers mean what they mean there: `-i` is instances, `-k 3000` three seconds,
`--env production` a named environment of a file, `pm2 start app.js` fork mode unless `-i` asks for instances. A flag
that has no effect prints one line that says so. Called as `fastlb`, the same words are understood as far as they do
not clash with ours, and times have units: `--kill-timeout 3s`.

`make docs` writes this page from the tables that the link obeys; a test fails when it is stale, or a command or flag
of PM2 7.0.3 is missing. The keys of its files are on [a page of their own](pm2-keys.md).

[A session](../benchmarks/results/pm2-session.md) was typed to both, side by side.

What is different, before the tables:

- **A reload that fails changes nothing**, and its exit code is 1. There it ends the old processes, and the code is 0.
- **Everything that ends a worker drains it first**: stop, restart, scale, limits. Nothing is answered with a closed
  connection.
- **A number names one worker**, over all apps, as long as it has its place: `stop 3`, `restart 3`, `logs 3`. A word
  may also be a name, a namespace, `all` or `/a pattern/`.
- **`show` tells memory and CPU**, each on one line, so that scripts find them: of the largest worker, and of a worker
  on average.
- **There is no daemon.** Each app has its own supervisor; one that is killed takes no other app with it.
- **No secrets are printed**: `jlist`, `show`, `report` hide the values of variables; `save` writes declared ones
  alone, for you alone to read. `env` prints them, as it is asked to.

## Commands

Of {command_count} commands: {command_verdicts}.

| there | what it does | | here | what it is |
|---|---|---|---|---|
{commands}

## Flags

Of {flag_count} flags: {flag_verdicts}. What begins with "later" is to come, and says so when it is given.

| there | | here | what it is |
|---|---|---|---|
{flags}
"""
ORDER: tuple[CommandVerdict, ...] = ("same", "better", "different", "later", "not here")
SPELLED = {"none": "", "one": " V", "maybe": " [V]", "many": " V..."}


def page() -> str:
    """Return the whole page."""
    flags = [("", flag) for flag in FLAGS] + [(name, flag) for name, own in OWN_FLAGS.items() for flag in own]
    return PAGE.format(
        command_count=len(COMMANDS),
        command_verdicts=_counted([command.verdict_among(OURS) for command in COMMANDS]),
        commands="\n".join(map(_command_row, COMMANDS)),
        flag_count=len(flags),
        flag_verdicts=_counted([flag.verdict for _, flag in flags]),
        flags="\n".join(_flag_row(command, flag) for command, flag in flags),
    )


def _counted(verdicts: Sequence[CommandVerdict]) -> str:
    return ", ".join(f"{verdicts.count(word)} {word}" for word in ORDER if word in verdicts)


def _command_row(command: Pm2Command) -> str:
    names = ", ".join(f"`{name}`" for name in command.names)
    ours = f"`{' '.join(command.ours)}`" if command.ours and command.ours[0] in OURS else ""
    return f"| {names} | {command.there} | {command.verdict_among(OURS)} | {ours} | {command.here} |"


def _flag_row(command: str, flag: Pm2Flag) -> str:
    names = ", ".join(f"`{name}{SPELLED[flag.values]}`" for name in flag.names)
    of_command = f" of `{command}`" if command else ""
    ours = f"`{flag.option}`" if flag.option and flag.verdict not in ("later", "not here") else ""
    return f"| {names}{of_command} | {flag.verdict} | {ours} | {flag.here} |"


if __name__ == "__main__":
    sys.stdout.write(page())
