"""`python -m fastlb.cli`: the same as the command `fastlb`."""

import sys

from .entry import main

if __name__ == "__main__":
    sys.exit(main())
