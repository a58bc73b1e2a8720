"""The dispatcher process's loop: sleep, accept, choose, hand over. README.md has it in one picture.

Runs in its own process (`python -m fastlb.lb`), one thread, no GIL: below run() there is no Python object, no
allocation and no lock. It never parses user input, never logs, never waits for a worker or for the supervisor.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastlb.lb.accept cimport ACCEPT_AGAIN, ACCEPT_BROKEN, ACCEPT_PAUSE, ACCEPT_RETRY, classify_accept_error
from fastlb.lb.atomics cimport full_fence, store_i64, store_u32, store_u64
from fastlb.lb.control cimport read_commands
from fastlb.lb.descriptors cimport (
    descriptor_adopted, descriptor_close, descriptor_count, descriptor_table_open, invariant,
)
from fastlb.lb.errors cimport check
from fastlb.lb.events cimport (
    WATCHED_CONTROL, WATCHED_LISTENER, WATCHED_NODE, WATCHED_PIDFD, WATCHED_TIMER, flush_events, on_control_writable,
    watched_data,
)
from fastlb.lb.handover cimport dispatch_held, has_taker, is_served
from fastlb.lb.held cimport held_drop_first, held_first
from fastlb.lb.listeners cimport accept_from_all, listener_remove, listeners_poll, on_listener_event
from fastlb.lb.node.channel cimport NODE_QUIET_NS, NodeChannel, stale_settled
from fastlb.lb.node.look cimport LOOK_AGAIN_NS, look_at_nodes, waits_for_closed_connections
from fastlb.lb.node.read cimport node_read, resume_nodes
from fastlb.lb.node.write cimport node_flush, node_probe
from fastlb.lb.page cimport DispatcherPage, MAX_LISTENERS
from fastlb.lb.policy cimport POLICY_IP_HASH
from fastlb.lb.posix cimport (
    CLOCK_MONOTONIC, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, SIG_IGN, SIGHUP,
    SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGTERM, SYS_pidfd_send_signal, TFD_CLOEXEC, TFD_NONBLOCK, TFD_TIMER_ABSTIME,
    epoll_create1, epoll_ctl, epoll_event, epoll_wait, errno, itimerspec, monotonic_ns, munmap, signal, syscall,
    timerfd_create, timerfd_settime,
)
from fastlb.lb.send_error cimport SEND_BROKEN, SEND_FULL, SEND_PAUSE, SEND_RETRY, classify_send_error
from fastlb.lb.slots cimport SLOT_ADMITTED, SLOT_DRAINING, SLOT_FREE, WorkerSlot
from fastlb.lb.state cimport (
    BITMAP_WORDS, Dispatcher, SEND_PAUSE_NS, candidates_refresh, count, lowest_bit, overdue_at_ns,
    publish_changed, slot_look,
)
from fastlb.lb.takeback cimport recover_channels, rescue_overdue
from fastlb.lb.workers cimport release_removed, slot_release, worker_died

cdef enum:
    EVENTS_PER_TURN = 256
    FOREVER = -1  # a time-out of epoll_wait
    NEVER_NS = 0x7FFFFFFFFFFFFFFF
    NS_PER_SECOND = 1_000_000_000


cdef void on_node_event(Dispatcher *d, uint32_t index, uint32_t events) noexcept nogil:
    """A Node worker says something, or has room again."""
    if events & EPOLLOUT and d.slots[index].node.wants_room:
        node_flush(d, index)
    if events & ~<uint32_t>EPOLLOUT and d.slots[index].node.polled:
        node_read(d, index)


cdef void on_event(Dispatcher *d, const epoll_event *event, bint *commands) noexcept nogil:
    """Note one readiness; commands wait, because they may reuse a slot that this batch still speaks of."""
    cdef uint64_t kind = event.data.u64 >> 32
    cdef uint32_t index = <uint32_t>event.data.u64
    if kind == WATCHED_LISTENER:
        on_listener_event(d, index)
    elif kind == WATCHED_PIDFD:
        worker_died(d, index)
    elif kind == WATCHED_NODE:
        on_node_event(d, index, event.events)
    elif kind == WATCHED_TIMER:
        d.timer_at_ns = 0
    elif kind == WATCHED_CONTROL:
        commands[0] |= event.events & (EPOLLIN | EPOLLHUP | EPOLLERR) != 0
        if event.events & EPOLLOUT:
            on_control_writable(d)
    # WATCHED_WAKEUP: that we woke is all it says


cdef void turn(Dispatcher *d, const epoll_event *events, int event_count) noexcept nogil:
    """Everything that can be done now, the oldest obligations first."""
    cdef bint commands = False
    for i in range(event_count):
        on_event(d, &events[i], &commands)
    if commands:
        read_commands(d)
    d.retry_wanted = False
    if d.node_workers:
        attend_nodes(d)
    candidates_refresh(d)
    dispatch_held(d)
    if d.recovering:
        recover_channels(d)
        dispatch_held(d)
    rescue_overdue(d)
    dispatch_held(d)
    accept_from_all(d)
    if d.removing:
        release_removed(d)


cdef int64_t node_due_ns(const Dispatcher *d, const NodeChannel *node) noexcept nogil:
    """When there is something to do for a Node worker that no descriptor will tell."""
    if node.stale_answers and not node.ended and (node.missed_last or not node.probed):
        return node.answered_at_ns + NODE_QUIET_NS
    return node.backoff_until_ns if node.backoff_until_ns > d.now_ns else NEVER_NS


cdef void inquire(Dispatcher *d, uint32_t index) noexcept nogil:
    """The answers to a predecessor should be here by now: it may not have sent what it meant to. Ask; then go on."""
    cdef NodeChannel *node = d.slots[index].node
    cdef uint64_t *answers_read = &d.page.slots[index].answers_read
    node.answered_at_ns = d.now_ns  # if it takes no probe now: again in a while
    if node.probed:
        count(answers_read, stale_settled(node))
    else:
        node_probe(d, index)


cdef void attend_nodes(Dispatcher *d) noexcept nogil:
    """What is to be done for Node workers before anybody is chosen."""
    cdef NodeChannel *node
    resume_nodes(d)
    look_at_nodes(d)
    for index in range(d.slots_end):
        node = d.slots[index].node
        if node == NULL:
            continue
        if node.stale_answers and node_due_ns(d, node) <= d.now_ns:
            inquire(d, index)
        if node.outbox_lines and not node.wants_room and not node.broken and node.backoff_until_ns <= d.now_ns:
            node_flush(d, index)
        if d.control_closed and d.now_ns >= d.orphaned_until_ns:
            syscall(SYS_pidfd_send_signal, d.slots[index].pidfd, SIGKILL, NULL, 0)


cdef bint somebody_waits(const Dispatcher *d) noexcept nogil:
    """Whether there may be a connection that a worker would serve if it had room."""
    if d.table.with_room == 0 or d.held.count > d.held_unserved:
        return True
    for index in range(d.listeners_end):
        if d.listeners[index].fd >= 0 and is_served(d, index) and not has_taker(d, index):
            return True
    return False


cdef int64_t next_node_deadline_ns(const Dispatcher *d) noexcept nogil:
    cdef int64_t soonest = d.orphaned_until_ns if d.control_closed else NEVER_NS
    if waits_for_closed_connections(d) and somebody_waits(d):
        soonest = min(soonest, d.now_ns + LOOK_AGAIN_NS)
    for index in range(d.slots_end):
        if d.slots[index].node != NULL:
            soonest = min(soonest, node_due_ns(d, d.slots[index].node))
    return soonest


cdef void publish(Dispatcher *d) noexcept nogil:
    """Say in our page what this turn has left."""
    publish_changed(d)
    store_u64(&d.page.held, d.held.count)
    store_u64(&d.page.starved, d.starved)
    store_u64(&d.page.open_fds, <uint64_t>descriptor_count())
    store_i64(&d.page.heartbeat_ns, d.now_ns)


cdef void watch_workers(Dispatcher *d, bint wanted) noexcept nogil:
    """Ask the workers to write the wake-up eventfd when they move, or not to."""
    cdef WorkerSlot *slot
    cdef bint watched
    for index in range(d.slots_end):
        slot = &d.slots[index]
        watched = wanted and (slot.state == SLOT_ADMITTED or (slot.state == SLOT_DRAINING and slot.recovering))
        if slot.state != SLOT_FREE and watched != slot.watched:
            slot.watched = watched
            store_u32(&slot.page.starved, watched)


cdef bint workers_moved(Dispatcher *d) noexcept nogil:
    """Look at all pages again; whether any has moved since the last look."""
    cdef bint moved = candidates_refresh(d)
    for index in range(d.slots_end):
        if d.slots[index].state == SLOT_DRAINING and d.slots[index].recovering:
            moved |= slot_look(d, &d.slots[index])
    return moved


cdef bint has_listener(const Dispatcher *d) noexcept nogil:
    for index in range(d.listeners_end):
        if d.listeners[index].fd >= 0 and not d.listeners[index].broken:
            return True
    return False


cdef int64_t next_overdue_ns(const Dispatcher *d) noexcept nogil:
    """When the next untaken message is overdue, if there is another worker that could get it."""
    cdef int64_t soonest = NEVER_NS, overdue
    cdef uint64_t remaining
    cdef const WorkerSlot *slot
    if d.policy == POLICY_IP_HASH or d.admitted < 2:
        return NEVER_NS
    for word in range(BITMAP_WORDS):
        remaining = d.outstanding[word]
        while remaining:
            slot = &d.slots[(<uint32_t>word << 6) + lowest_bit(remaining)]
            remaining &= remaining - 1
            if slot.messages and not slot.recovering:
                overdue = overdue_at_ns(d, slot)
                # one that is overdue already waits for a receiver, not for time: `rescue_wanted`
                if overdue > d.now_ns:
                    soonest = min(soonest, overdue)
    return soonest


cdef int64_t next_deadline_ns(const Dispatcher *d) noexcept nogil:
    """The next moment at which there is something to do that no descriptor will tell; usually never."""
    cdef int64_t soonest = next_overdue_ns(d)
    cdef bint accepting = not d.paused and not d.finishing
    for index in range(d.listeners_end):
        if accepting and d.listeners[index].fd >= 0 and d.listeners[index].paused_until_ns > d.now_ns:
            if not d.listeners[index].broken:
                soonest = min(soonest, d.listeners[index].paused_until_ns)
    if d.send_paused_until_ns > d.now_ns:
        soonest = min(soonest, d.send_paused_until_ns)
    if d.retry_wanted:
        soonest = min(soonest, d.now_ns + SEND_PAUSE_NS)
    if d.node_workers:
        soonest = min(soonest, next_node_deadline_ns(d))
    return min(soonest, next_pass_over_end_ns(d)) if accepting and d.table.with_room == 0 else soonest


cdef int64_t next_pass_over_end_ns(const Dispatcher *d) noexcept nogil:
    """When the first worker that is passed over gets another chance: of interest when there is no other."""
    cdef int64_t soonest = NEVER_NS, until
    for i in range(d.table.count):
        until = d.slots[d.table.candidates[i].slot].passed_over_until_ns
        if until > d.now_ns:
            soonest = min(soonest, until)
    return soonest


cdef void arm_timer(Dispatcher *d) noexcept nogil:
    """Have the timer fire at the next deadline, if there is one.

    A timer that fires sooner stays as it is and is looked at again then: under steady traffic it is set once in a
    hand-over timeout, where a time-out of epoll_wait would be set for every connection.
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


cdef int prepare_sleep(Dispatcher *d) noexcept nogil:
    """Decide whom to listen to while asleep; return the time-out for epoll_wait: at once or never.

    Starved: the flag in the pages, a full fence, then a look at all pages - and the worker stores, fences, then
    looks at the flag. So either we see that it moved or it sees that we sleep; without the fences both could miss.
    """
    cdef bint accepting = not d.paused and not d.finishing and has_listener(d)
    cdef bint waiting = d.held.count > d.held_passed
    cdef bint blocked = d.table.with_room == 0 or waiting
    d.starved = blocked and (accepting or waiting)
    d.retry_wanted |= d.nodes_paused > 0 and not d.outbox.blocked
    listeners_poll(d, accepting and not blocked and d.now_ns >= d.send_paused_until_ns)
    arm_timer(d)
    if not d.starved and not d.rescue_wanted and not d.recovering and d.held.count == d.held_unserved:
        watch_workers(d, False)
        return FOREVER
    watch_workers(d, True)
    full_fence()
    return 0 if workers_moved(d) else FOREVER


cdef bint is_finished(const Dispatcher *d) noexcept nogil:
    """Whether nothing is left to do after QUIT: what is held waits for a worker as long as there is one."""
    if d.control_closed and d.node_workers and d.now_ns < d.orphaned_until_ns and has_living_node(d):
        return False  # to a Node worker our end is that of its supervisor: it would drop what it is doing
    return d.finishing and (d.held.count == d.held_unserved or d.admitted == 0)


cdef bint has_living_node(const Dispatcher *d) noexcept nogil:
    for index in range(d.slots_end):
        if d.slots[index].node != NULL and not d.slots[index].died:
            return True
    return False


cdef void loop(Dispatcher *d) noexcept nogil:
    cdef epoll_event events[EVENTS_PER_TURN]
    cdef int event_count, timeout
    while True:
        timeout = prepare_sleep(d)
        publish(d)
        flush_events(d)  # after publishing: who reads a PONG reads this turn's figures
        if is_finished(d):
            return
        event_count = epoll_wait(d.epoll_fd, events, EVENTS_PER_TURN, timeout)
        d.now_ns = monotonic_ns()
        count(&d.page.wakeups, 1)
        turn(d, events, max(event_count, 0))


cdef void dispatcher_close(Dispatcher *d) noexcept nogil:
    """Close everything that is ours. What lies in the channels stays there, for the workers to take."""
    for index in range(d.listeners_end):
        listener_remove(d, index)
    for index in range(d.slots_end):
        if d.slots[index].state != SLOT_FREE:
            slot_release(d, index)
    while d.held.count:
        descriptor_close(&held_first(&d.held).fd)
        held_drop_first(&d.held)
        count(&d.page.dropped, 1)
    descriptor_close(&d.wakeup_fd)
    descriptor_close(&d.timer_fd)
    descriptor_close(&d.descriptor_table_fd)
    descriptor_close(&d.epoll_fd)
    descriptor_close(&d.control_fd)
    publish(d)
    invariant(descriptor_count() == 0)
    if d.page != &d.private_page:
        munmap(d.page, sizeof(DispatcherPage))


cdef int watch(Dispatcher *d, int fd, uint32_t events, uint64_t kind) noexcept nogil:
    cdef epoll_event event
    event.events = events
    event.data.u64 = watched_data(kind, 0)
    return 0 if epoll_ctl(d.epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 else -errno


cdef int dispatcher_open(Dispatcher *d, int control_fd) noexcept nogil:
    """Make the empty state watch its control socket, which is ours from now on; 0 or -errno."""
    cdef int result
    d.control_fd = descriptor_adopted(control_fd)
    d.wakeup_fd = d.timer_fd = d.descriptor_table_fd = -1
    d.page = &d.private_page
    d.now_ns = monotonic_ns()
    for index in range(MAX_LISTENERS):
        d.listeners[index].fd = -1
    d.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
    if d.epoll_fd < 0:
        return -errno
    descriptor_adopted(d.epoll_fd)
    d.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
    if d.timer_fd < 0:
        return -errno
    descriptor_adopted(d.timer_fd)
    d.descriptor_table_fd = descriptor_table_open()
    if d.descriptor_table_fd >= 0:
        descriptor_adopted(d.descriptor_table_fd)
    result = watch(d, d.timer_fd, EPOLLIN | EPOLLET, WATCHED_TIMER)  # edge-triggered: never read
    return watch(d, control_fd, EPOLLIN, WATCHED_CONTROL) if result == 0 else result


cdef void ignore_signals() noexcept nogil:
    """The supervisor commands us: what a terminal or a service manager sends to the whole group is for it."""
    signal(SIGHUP, SIG_IGN)
    signal(SIGINT, SIG_IGN)
    signal(SIGQUIT, SIG_IGN)
    signal(SIGTERM, SIG_IGN)
    signal(SIGPIPE, SIG_IGN)


def run(int control_fd):
    """Be the dispatcher of the supervisor at the other end of `control_fd`, which is ours from now on.

    Returns the exit code when the supervisor says QUIT or is gone; raises OSError if it cannot begin.
    """
    cdef int result
    cdef Dispatcher *d = <Dispatcher *>calloc(1, sizeof(Dispatcher))
    if d == NULL:
        raise MemoryError
    with nogil:
        ignore_signals()
        result = dispatcher_open(d, control_fd)
        if result == 0:
            loop(d)
        dispatcher_close(d)
    free(d)
    check(result, "watch the control socket")
    return 0


def accept_verdict(int error):
    """For tests: what the dispatcher does after accept4 failed with errno `error`."""
    cdef int verdict = classify_accept_error(error)
    return {ACCEPT_AGAIN: "again", ACCEPT_RETRY: "retry", ACCEPT_PAUSE: "pause", ACCEPT_BROKEN: "broken"}[verdict]


def send_verdict(int error):
    """For tests: what the dispatcher does after a hand-over failed with errno `error`."""
    cdef int verdict = classify_send_error(error)
    return {SEND_RETRY: "retry", SEND_FULL: "full", SEND_PAUSE: "pause", SEND_BROKEN: "broken"}[verdict]
