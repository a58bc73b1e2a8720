"""Owns taking samples of what a process does: which calls are under way whenever a thread has used the processor.

Runs in workers, in the thread of an action, for seconds. Needs no privilege and no signal, and leaves nothing
switched on when it has ended. proc_pid_task(5), schedstat: nanoseconds on the processor.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

INTERVAL = 0.01
DEEPEST = 128
MOST_STACKS = 20_000

Stack = tuple[str, ...]  # calls, the outermost first


@dataclass
class Samples:
    """What was seen.

    Attributes:
        nanoseconds: on the processor, by stack.
        samples: how often a thread was found to have worked.
        left_out: nanoseconds of stacks that were too many.
    """

    nanoseconds: Counter[Stack] = field(default_factory=Counter)
    samples: int = 0
    left_out: int = 0

    @property
    def cpu_seconds(self) -> float:
        """All of it together."""
        return (self.nanoseconds.total() + self.left_out) / 1e9

    def note(self, stack: Stack, nanoseconds: int) -> None:
        """Count what a thread has used with these calls under way."""
        self.samples += 1
        if stack in self.nanoseconds or len(self.nanoseconds) < MOST_STACKS:
            self.nanoseconds[stack] += nanoseconds
        else:
            self.left_out += nanoseconds

    def hottest(self) -> str:
        """Return a phrase that names the call which was innermost for the longest time."""
        own: Counter[str] = Counter()
        for stack, nanoseconds in self.nanoseconds.items():
            own[stack[-1]] += nanoseconds
        if not own:
            return "nothing has run"
        (name, nanoseconds), *_ = own.most_common(1)
        return f"most in {name}, {100 * nanoseconds / own.total():.0f} %"


def sample(seconds: float, hidden_threads: Collection[int]) -> Samples:
    """Look at all threads but some for so many seconds, and return what was seen."""
    samples, clocks = Samples(), ThreadClocks()
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(INTERVAL, left))
        frames = sys._current_frames()
        used = clocks.used_since()
        for ident, frame in frames.items():
            if ident not in hidden_threads and used.get(ident, 0) > 0:
                samples.note(stack_of(frame), used[ident])
    return samples


class ThreadClocks:
    """How long each thread that Python knows by name has been on the processor."""

    def __init__(self) -> None:
        self._before = self._now()

    def used_since(self) -> dict[int, int]:
        """Return the nanoseconds that each has used since the last call, by its identifier."""
        before, self._before = self._before, self._now()
        return {ident: now - before.get(ident, now) for ident, now in self._before.items()}

    def _now(self) -> dict[int, int]:
        return dict(clock_readings())


def clock_readings() -> Iterator[tuple[int, int]]:
    """Yield each thread's identifier with its nanoseconds on the processor."""
    for thread in threading.enumerate():
        if thread.ident is None or thread.native_id is None:
            continue
        try:
            text = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text()
            yield thread.ident, int(text.split()[0])
        except (OSError, ValueError, IndexError):
            continue  # it has just ended


def stack_of(frame: FrameType | None) -> Stack:
    """Return the calls under way, the outermost first; the outermost of very many are left out."""
    calls: list[str] = []
    while frame is not None and len(calls) < DEEPEST:
        code = frame.f_code
        calls.append(f"{code.co_qualname} ({shown_file(code.co_filename)}:{code.co_firstlineno})")
        frame = frame.f_back
    return tuple(reversed(calls))


def shown_file(path: str) -> str:
    """Return the last two parts of a path."""
    return "/".join(path.rsplit("/", 2)[-2:])
