"""Owns the socket of the service manager that runs us, and what it has told us in the environment: sd_notify(3) and
sd_watchdog_enabled(3). Supervisor process.

It must never wait for the manager, and no process that we start may take it for its own: the variables are gone from
our environment once they were read.
"""

import os
import re
import socket
from collections.abc import MutableMapping

NOTIFY_VARIABLE = "NOTIFY_SOCKET"
WATCHDOG_INTERVAL = "WATCHDOG_USEC"
WATCHDOG_VARIABLES = (WATCHDOG_INTERVAL, "WATCHDOG_PID")
MICROSECONDS = 1e6
LONGEST_ADDRESS_BYTES = 107


class ServiceManager:
    """Whoever runs us as a service.

    Args:
        address: of its socket, as NOTIFY_SOCKET says it: a path, or an abstract one that begins with @.
        watchdog_seconds: within which it wants to hear of us again and again; 0: it does not.
    """

    def __init__(self, address: str, watchdog_seconds: float = 0.0) -> None:
        self.watchdog_seconds = watchdog_seconds
        name = os.fsencode(address)
        self._name = b"\0" + name[1:] if address.startswith("@") else name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def send(self, message: bytes) -> bool:
        """Send a datagram; return whether the manager has it now. One that is busy, or gone, is no error."""
        try:
            self._socket.sendto(message, self._name)
        except OSError:
            return False
        return True

    def name_main_process(self, pid: int) -> None:
        """Say that another process is the service from here on, and ready; what it has said before may not have been
        heard (NotifyAccess=main).
        """
        self.send(f"READY=1\nMAINPID={pid}".encode())

    def close(self) -> None:
        """Say nothing any more."""
        self._socket.close()


def take_service_manager(environ: MutableMapping[str, str], pid: int) -> ServiceManager | None:
    """Return who runs this process as a service, and remove what it has said from `environ`; None: nobody does.

    `pid`: of this process; a watchdog of another one is not ours.
    """
    address = environ.pop(NOTIFY_VARIABLE, "")
    interval, watched = (environ.pop(name, "") for name in WATCHDOG_VARIABLES)
    if not address.startswith(("/", "@")) or not 2 <= len(os.fsencode(address)) <= LONGEST_ADDRESS_BYTES:
        return None
    is_ours = watched in ("", str(pid)) and re.fullmatch(r"[1-9][0-9]{0,15}", interval)
    return ServiceManager(address, int(interval) / MICROSECONDS if is_ours else 0.0)
