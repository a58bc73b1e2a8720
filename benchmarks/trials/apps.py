"""Owns the apps that the same trial is run with: one for Python, one for Node. Both know /, /plain and the ledger."""

from collections.abc import Callable

from tests.support.fastlb_process import App, Fastlb
from tests.support.node_driver import start_node

Start = Callable[..., App]


def start_python(fastlb: Fastlb, *options: str, workers: int = 2) -> App:
    """Start the ASGI app that shows what happens to it."""
    return fastlb.start("asgi_probe:app", "--workers", str(workers), *options)


def start_http_js(fastlb: Fastlb, *options: str, workers: int = 2) -> App:
    """Start the Node app that shows what happens to it."""
    return start_node(fastlb, "http.js", *options, workers=workers)
