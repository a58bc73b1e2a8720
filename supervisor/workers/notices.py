"""Owns what the words of sd_notify(3) mean in a worker's life. Runs in the supervisor process."""

from ..readiness.notice import Notice
from .handle import WorkerHandle
from .life import LifeEvent, LifeEventName

# Of a word on a channel of ours.
TAKEN_BACK = "says that it is not ready any more"


def apply_notice(worker: WorkerHandle, notice: Notice) -> None:
    """Apply to a worker what its process has said."""
    if notice.is_failed:
        worker.apply(LifeEvent(LifeEventName.HUNG, "says that it does not work (WATCHDOG=trigger)"))
    elif notice.is_stopping:
        worker.apply(LifeEvent(LifeEventName.LEFT, "left by its own wish: STOPPING=1"))
    elif notice.is_reloading:
        worker.apply(LifeEvent(LifeEventName.UNREADY_SAID, "reloads (RELOADING=1)"))
    elif notice.is_ready:
        worker.apply(LifeEventName.READY_SAID)
