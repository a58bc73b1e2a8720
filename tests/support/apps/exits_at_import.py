"""Ends the process while it is imported, with exit code 0: for a server that is a failure too."""

import sys

sys.exit(0)
