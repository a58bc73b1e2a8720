from collections.abc import Callable
from enum import IntEnum
from typing import TypedDict

PAGE_SLOTS: int
PAGE_LISTENERS: int
PAGE_LATENCY_BUCKETS: int

class SlotState(IntEnum):
    FREE = 0
    ADDED = 1
    ADMITTED = 2
    DRAINING = 3
    DEAD = 4

class WorkerCounters(TypedDict):
    position: int
    taken: int
    closed: int
    open: int
    busy: int
    pressure: bool
    per_message: int
    turn_ns: int
    requests: int
    errors: int
    lost: int
    latency_sum_us: int
    heartbeat_ns: int
    loop_lag_ns: int
    oldest_request_ns: int
    starved: bool

class DispatcherCounters(TypedDict):
    epoch: int
    heartbeat_ns: int
    wakeups: int
    accepted: int
    dispatched: int
    redispatched: int
    unsticky: int
    held: int
    starved: bool
    send_failures: int
    dropped: int
    open_fds: int
    malformed: int
    openings: int
    proxy_untrusted: int
    proxy_malformed: int
    proxy_late: int

class SlotCounters(TypedDict):
    incarnation: int
    sent: int
    taken_back: int
    untaken: int
    open: int
    state: int
    unanswered: int
    history: int
    heard_at_ns: int
    refused: int
    messages_dropped: int

class ListenerCounters(TypedDict):
    accepted: int
    errors: int
    pauses: int
    last_error: int

def split_position(position: int) -> tuple[int, int]: ...
def create_worker_page() -> int: ...
def create_dispatcher_page() -> int: ...

class WorkerStatus:
    on_less_busy: Callable[[], object] | None
    def __init__(self, page_fd: int, wakeup_fd: int) -> None: ...
    def detach(self) -> None: ...
    def record_taken(self, position: int, count: int) -> None: ...
    def record_closed(self) -> None: ...
    def record_busy(self, change: int) -> None: ...
    def record_request_begun(self) -> None: ...
    def record_request_done(self, latency_ns: int, failed: bool) -> None: ...
    def record_response(self, status: int) -> None: ...
    def record_error(self) -> None: ...
    def record_lost(self, count: int) -> None: ...
    def record_heartbeat(self, now_ns: int, lag_ns: int, oldest_request_ns: int) -> None: ...
    def set_pressure(self, pressed: bool) -> None: ...
    def want_per_message(self, most: int) -> None: ...
    def tell_turn(self, usual_ns: int) -> None: ...
    @property
    def open(self) -> int: ...
    @property
    def busy(self) -> int: ...

class WorkerPageView:
    def __init__(self, page_fd: int) -> None: ...
    def read(self) -> WorkerCounters: ...
    def latency_us(self) -> list[int]: ...
    def responses(self) -> dict[int, int]: ...

class DispatcherPageView:
    def __init__(self, page_fd: int) -> None: ...
    def read(self) -> DispatcherCounters: ...
    def read_slot(self, slot: int) -> SlotCounters: ...
    def read_listener(self, listener_id: int) -> ListenerCounters: ...
