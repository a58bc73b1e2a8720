"""Prints PRINTER_LINES numbered lines to stdout and stderr at import, one write each, and then serves."""

import os
import sys

from asgi_probe import app

WORKER_ID = os.environ.get("FASTLB_WORKER_ID", "-1")

for number in range(int(os.environ.get("PRINTER_LINES", "0"))):
    os.write(sys.stdout.fileno(), f"out {WORKER_ID} {number:06d} {'x' * (number % 120)}\n".encode())
    os.write(sys.stderr.fileno(), f"err {WORKER_ID} {number:06d}\n".encode())

__all__ = ["app"]
