"""A fixture for pytest: the app of a test runs on fastlb, on a port of its own, as it will in production."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fastlb.client import Client


@pytest.fixture(scope="session")
def app_url() -> Iterator[str]:
    """Where `app` of hello_asgi.py beside this file answers."""
    with TemporaryDirectory(prefix="fastlb-") as home:
        client = Client(home)
        options = ("--name", "app", "--workers", "2", "--bind", "127.0.0.1:0")
        client.start("hello_asgi:app", *options, cwd=Path(__file__).parent)
        try:
            yield f"http://{client.list('app')[0].binds[0]}"
        finally:
            client.delete("app")
