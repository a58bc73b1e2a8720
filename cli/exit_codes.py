"""Owns docs/exit-codes.md: written from the table of exit codes, never by hand.

python -m fastlb.cli.exit_codes > docs/exit-codes.md
"""

import sys

from ..supervisor.errors import EXIT_CODES
from ..worker.wire import EXIT_STARTUP_FAILED

PAGE = """\
# Exit codes

Of the command `fastlb`. `make docs` writes this page from `supervisor/errors.py`; a test fails when it is stale.

| code | meaning |
|---|---|
{rows}
| 128 + n | Signal n ended the command before there was anything to give back, as your shell counts it. |
| any | `run`: the app ended by itself, and this is the code of what ended last (below). |

A command for several apps (`stop all`) does what it can for each, and ends with the highest code. `run` ends with 1
when the app could not be started, or its supervisor failed. When every worker has crashed too often it ends with the
code of the last crash, 128 + n for signal n, and 1 for an exit with 0; after a job (`--no-autorestart`,
`--stop-exit-codes`) with that of the first process that failed, or 0.

To ask for the state of an app in a script:

```
fastlb show shop --quiet || fastlb start shop     # 0: it runs, 3: it does not, 1: there is no such app
fastlb list --json                                # how well: "online", "degraded", "errored", ...
```

An app whose supervisor was killed (`died` in the list) does not run; one that starts, reloads or does not answer does.

## Of workers

The supervisor's log names them (`worker_exited`), and `fastlb show` the last one that was a failure.

| code | meaning |
|---|---|
| 0 | A Python worker was asked to end. Unasked it is a failure as any other: a server does not end by itself. |
| {startup_failed} | A Python worker never served: its app could not be imported or started, and it has said why. |
| any other | The app's own: `sys.exit(4)`, `process.exit(4)`. |
| a signal | SIGABRT: it hung (`--hang-timeout`, `--request-timeout`), and its stack is in the error log. SIGKILL: it \
did not end in time; or, as its reason says, `out of memory` or `not by fastlb`. A signal is no \
exit code for `--stop-exit-codes`. |
"""


def page() -> str:
    """Return the whole page."""
    rows = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    return PAGE.format(rows=rows, startup_failed=EXIT_STARTUP_FAILED)


if __name__ == "__main__":
    sys.stdout.write(page())
