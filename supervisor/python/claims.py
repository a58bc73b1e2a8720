"""Owns the judgement why a worker of our own gets fewer connections than it could, by what its page claims. Pure.

Runs in the supervisor process. The dispatcher believes a page within bounds, so one that makes no sense harms its
worker only: it looks busy or full, and gets little or nothing. That is said here, and nothing is done about it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...lb.page import WorkerCounters  # a name of the stub only

# For so long a claim must stand: worker and reader are not in step, and a short want of descriptors is load.
STANDS_AFTER = 3.0

SHORT_OF_DESCRIPTORS = (
    "is short of descriptors and takes no connections: its app has lowered the limit (RLIMIT_NOFILE) or keeps many open"
)
NONSENSE = "gets fewer connections than it could: its status page makes no sense (it says that {claim})"


def impediment_in(page: "WorkerCounters", most_descriptors: int) -> str:
    """Return what is wrong with a page, as a phrase that follows "worker 1"; "" when nothing is.

    `page`: WorkerPageView.read(); `most_descriptors`: that a process may have.
    """
    claim = _impossible_claim(page, most_descriptors)
    if claim:
        return NONSENSE.format(claim=claim)
    return SHORT_OF_DESCRIPTORS if page["pressure"] else ""


def _impossible_claim(page: "WorkerCounters", most_descriptors: int) -> str:
    if page["closed"] > page["taken"]:
        return "it closed more connections than it took"
    if page["open"] > most_descriptors:
        return "it has more connections open than a process may have descriptors"
    if page["busy"] > page["open"]:
        return "more connections are busy than open"
    return ""


class ClaimWatch:
    """What has stood on the page of one process, and for how long.

    Attributes:
        impediment: what has stood there for STANDS_AFTER, "" when nothing has.
    """

    def __init__(self) -> None:
        self.impediment = ""
        self._seen = ""
        self._seen_for = 0.0

    def look(self, impediment: str, elapsed: float) -> str:
        """Take what is wrong now; return it at the first look by which it has stood long enough, else "".

        `elapsed`: attended seconds since the last look.
        """
        self._seen_for = self._seen_for + elapsed if impediment == self._seen else 0.0
        self._seen = impediment
        before = self.impediment
        if not impediment:
            self.impediment = ""
        elif self._seen_for >= STANDS_AFTER:
            self.impediment = impediment
        return self.impediment if self.impediment != before else ""
