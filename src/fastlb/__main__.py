"""`python -m fastlb`: the same as the command `fastlb`. Runs in the user's shell."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
