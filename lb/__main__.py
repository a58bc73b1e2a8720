"""Owns the start of the dispatcher process: `python -m fastlb.lb CONTROL_FD`, which only the supervisor runs.

Imports nothing but the loop: this process has no use for Python beyond its start.
"""

import signal
import sys

from fastlb.lb.dispatcher import run

# What people send to all processes of a server at once (logrotate, `pkill`): it is meant for the supervisor.
NOT_FOR_US = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)

if __name__ == "__main__":
    for number in NOT_FOR_US:
        signal.signal(number, signal.SIG_IGN)
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("usage: python -m fastlb.lb CONTROL_FD (the supervisor starts this process)")
    sys.exit(run(int(sys.argv[1])))
