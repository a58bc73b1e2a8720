"""What tests of real processes have in common: they are guarded against leaks, and may switch a release."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fastlb_process import Fastlb


@pytest.fixture(autouse=True)
def _guard(leak_guard: None) -> None:
    """Run each test of this folder inside the leak guard."""


@pytest.fixture
def release(fastlb: Fastlb, tmp_path: Path) -> Callable[[str], None]:
    """Switch what the next generation of release.py runs."""
    file = tmp_path / "release"
    fastlb.env["FASTLB_TEST_RELEASE"] = str(file)
    file.write_text("asgi_probe")

    def switch(module: str) -> None:
        file.write_text(module)

    return switch
