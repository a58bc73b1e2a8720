"""Owns one dispatcher process: how it is started, what the supervisor holds of it. Runs in the supervisor.

It knows nothing of workers and listeners: what a dispatcher is told is in wanted.py.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from ...lb.command import DispatcherEvent
from ...lb.page import DispatcherPageView, create_dispatcher_page
from ..processes.hang import AnswerWatch
from ..processes.spawn import SpawnedProcess, SpawnPlan, spawn
from .link import DispatcherLink

PING_TIMEOUT = 5.0


@dataclass
class DispatcherProcess:
    """One dispatcher process. Owns `link`, `page_fd` and the process's pidfd until `close`.

    Attributes:
        process: pid and pidfd.
        link: its control channel.
        page_fd: its page, which it is given when it is configured.
        page: our view of that.
        answers: what it owes us.
        is_configured: whether it has said so.
    """

    process: SpawnedProcess
    link: DispatcherLink
    page_fd: int
    page: DispatcherPageView
    answers: AnswerWatch
    is_configured: bool = False

    def close(self) -> None:
        """Close everything; the process must have been reaped."""
        self.link.close()
        os.close(self.page_fd)
        os.close(self.process.pidfd)


def start_dispatcher(app_name: str, on_event: Callable[[DispatcherEvent], None]) -> DispatcherProcess:
    """Start a dispatcher process, which is not configured yet. Call it on the event loop.

    `app_name`: for those who read `ps`.

    Raises:
        SpawnError: it could not be started.
        OSError: no descriptors are left.
    """
    with ExitStack() as stack:
        page_fd = create_dispatcher_page()
        stack.callback(os.close, page_fd)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stack.enter_context(ours)
        ours.setblocking(False)
        # -P: a file of the app must not shadow a module of ours. Python leaves -X options alone that it does not know.
        command = [sys.executable, "-P", "-X", f"app={app_name}", "-m", "fastlb.lb", str(theirs.fileno())]
        with theirs:
            process = spawn(SpawnPlan(command, pass_fds={theirs.fileno(): theirs.fileno()}, stdout_fd=2))
        stack.pop_all()
    link = DispatcherLink(asyncio.get_running_loop(), ours, on_event)
    return DispatcherProcess(process, link, page_fd, DispatcherPageView(page_fd), AnswerWatch(PING_TIMEOUT))
