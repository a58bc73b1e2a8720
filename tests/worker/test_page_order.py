"""The order in which a worker's page changes, seen after every single instruction of the worker."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from fastlb.lb.page import WorkerPageView, create_worker_page

PTRACE_SINGLESTEP = 9
# Stops itself before it counts one connection as taken.
WORKER = """
import ctypes, os, signal, sys
from fastlb.lb.page import WorkerStatus
status = WorkerStatus(int(sys.argv[1]), -1)
if ctypes.CDLL(None).ptrace(0, 0, None, None):
    sys.exit("this machine lets nobody be traced")
os.kill(os.getpid(), signal.SIGSTOP)
status.record_taken(1, 1)
"""
Figures = tuple[int, int, int]  # busy, taken, position


@pytest.fixture
def page_fd() -> Iterator[int]:
    """A worker's page, with nothing in it."""
    fd = create_worker_page()
    yield fd
    os.close(fd)


def figures_of_single_steps(process: "subprocess.Popen[bytes]", page: WorkerPageView) -> Iterator[Figures]:
    """Yield what stands in the page after each instruction of a process that has stopped itself."""
    step = ctypes.CDLL(None).ptrace
    _, status = os.waitpid(process.pid, 0)
    if os.WIFEXITED(status):
        process.returncode = os.waitstatus_to_exitcode(status)
        pytest.skip("this machine lets nobody be traced")
    assert os.WSTOPSIG(status) == signal.SIGSTOP
    while os.WIFSTOPPED(status):
        counters = page.read()
        yield counters["busy"], counters["taken"], counters["position"]
        assert step(PTRACE_SINGLESTEP, process.pid, None, None) == 0
        _, status = os.waitpid(process.pid, 0)


def test_a_connection_is_counted_before_its_position_is_said(page_fd: int) -> None:
    """Else a dispatcher that looks in between sees a connection that is neither untaken nor busy nor open."""
    page, seen = WorkerPageView(page_fd), []
    command = [sys.executable, "-c", WORKER, str(page_fd)]
    with subprocess.Popen(command, pass_fds=[page_fd]) as process:
        try:
            for figures in figures_of_single_steps(process, page):
                if figures not in seen:
                    seen.append(figures)
                if figures == (1, 1, 1):
                    break
        finally:
            process.kill()
    assert seen[0] == (0, 0, 0)
    assert seen[-1] == (1, 1, 1)
    assert [figures for figures in seen if figures[2]] == [(1, 1, 1)], seen
