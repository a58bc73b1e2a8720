"""Owns the start of the dispatcher process: `python -m fastlb.lb CONTROL_FD`, which only the supervisor runs.

Imports nothing but the loop: this process has no use for Python beyond its start.
"""

import sys

from fastlb.lb.dispatcher import run

if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("usage: python -m fastlb.lb CONTROL_FD (the supervisor starts this process)")
    sys.exit(run(int(sys.argv[1])))
