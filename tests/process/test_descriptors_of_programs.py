"""What programs that a Python app starts inherit of its worker: nothing but its standard streams."""

from functools import partial

import pytest

from tests.support import processes
from tests.support.fastlb_process import Fastlb
from tests.support.waiting import wait_until


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_programs_of_an_app_hold_nothing_of_the_worker(fastlb: Fastlb, interface: str) -> None:
    app = fastlb.start(f"starts_programs:{interface}", "--workers", "1")
    for program in app.get().json():
        wait_until(partial(processes.command_line, program), "it runs")
        assert processes.inherited_fds(program) == {}, processes.command_line(program)
    app.ok("stop")
