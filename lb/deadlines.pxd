# Owns the dispatcher's one timer: the next moment at which something is due that no descriptor will tell, and the
# timerfd that is set to it. Runs in the dispatcher process. Usually there is no such moment: a dispatcher that is idle
# or whose workers are all busy sleeps without a timer.

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from fastlb.lb.listeners cimport is_accepting
from fastlb.lb.node.attend cimport next_node_deadline_ns
from fastlb.lb.opening.reading cimport next_opening_deadline_ns
from fastlb.lb.posix cimport TFD_TIMER_ABSTIME, itimerspec, timerfd_settime
from fastlb.lb.slots cimport WorkerSlot
from fastlb.lb.state cimport (
    BITMAP_WORDS, Dispatcher, NEVER_NS, SEND_PAUSE_NS, lowest_bit, may_go_to_another, overdue_at_ns,
)

cdef enum:
    NS_PER_SECOND = 1_000_000_000


cdef inline int64_t next_overdue_ns(const Dispatcher *d) noexcept nogil:
    """Return when the next untaken message is overdue, if there is another worker that could get it."""
    cdef int64_t soonest = NEVER_NS, overdue
    cdef uint64_t remaining
    cdef const WorkerSlot *slot
    if d.admitted == 0:
        return NEVER_NS
    for word in range(BITMAP_WORDS):
        remaining = d.outstanding[word]
        while remaining:
            slot = &d.slots[(<uint32_t>word << 6) + lowest_bit(remaining)]
            remaining &= remaining - 1
            if slot.messages and not slot.emptying_channel and may_go_to_another(d, slot):
                overdue = overdue_at_ns(d, slot)
                # a message that is overdue already waits for a receiver, not for time: `rescue_wanted`
                if overdue > d.now_ns:
                    soonest = min(soonest, overdue)
    return soonest


cdef inline int64_t next_pause_end_ns(const Dispatcher *d) noexcept nogil:
    """Return when the first listener that pauses after an error may be polled again."""
    cdef int64_t soonest = NEVER_NS, until
    for index in range(d.listeners_end):
        until = d.listeners[index].paused_until_ns
        if d.listeners[index].fd >= 0 and not d.listeners[index].broken and until > d.now_ns:
            soonest = min(soonest, until)
    return soonest


cdef inline int64_t next_pass_over_end_ns(const Dispatcher *d) noexcept nogil:
    """Return when the first worker that is passed over may be chosen again."""
    cdef int64_t soonest = NEVER_NS, until
    for i in range(d.table.count):
        until = d.slots[d.table.candidates[i].slot].passed_over_until_ns
        if until > d.now_ns:
            soonest = min(soonest, until)
    return soonest


cdef inline int64_t next_deadline_ns(const Dispatcher *d) noexcept nogil:
    """Return the next moment at which something is due that no descriptor will tell; usually NEVER_NS."""
    cdef int64_t soonest = next_overdue_ns(d)
    if d.send_paused_until_ns > d.now_ns:
        soonest = min(soonest, d.send_paused_until_ns)
    if d.retry_wanted:
        soonest = min(soonest, d.now_ns + SEND_PAUSE_NS)
    if d.node_workers:
        soonest = min(soonest, next_node_deadline_ns(d))
    if d.openings.count:
        soonest = min(soonest, next_opening_deadline_ns(d))
    if is_accepting(d):
        soonest = min(soonest, next_pause_end_ns(d))
        if d.table.with_room == 0 or d.rescue_wanted:
            soonest = min(soonest, next_pass_over_end_ns(d))
    return soonest


cdef inline void arm_timer(Dispatcher *d) noexcept nogil:
    """Have the timer fire at the next deadline, if there is one.

    A timer that fires sooner stays as it is, and the turn that it causes comes here again: under steady traffic it is
    set once in a hand-over timeout, where a time-out of epoll_wait would be set for every connection.
    """
    cdef itimerspec at
    cdef int64_t deadline_ns = next_deadline_ns(d)
    if deadline_ns == NEVER_NS or (d.timer_at_ns and d.timer_at_ns <= deadline_ns):
        return
    memset(&at, 0, sizeof(at))
    at.it_value.tv_sec = deadline_ns // NS_PER_SECOND
    at.it_value.tv_nsec = deadline_ns % NS_PER_SECOND
    timerfd_settime(d.timer_fd, TFD_TIMER_ABSTIME, &at, NULL)
    d.timer_at_ns = deadline_ns
