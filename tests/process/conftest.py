"""Every test that runs real processes is guarded against leaks."""

import pytest


@pytest.fixture(autouse=True)
def _guard(leak_guard: None) -> None:
    """Run each test of this folder inside the leak guard."""
