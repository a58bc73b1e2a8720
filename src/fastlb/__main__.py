"""`python -m fastlb`: the same as the command `fastlb`. Runs in the user's shell."""

import sys

from .cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
