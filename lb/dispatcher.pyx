"""Owns the dispatcher process's loop: sleep, accept, choose, hand over. README.md has it in one picture.

Runs in its own process (`python -m fastlb.lb`), one thread, no GIL: below run() there is no Python object and no
lock, and nothing is allocated for a connection (state.pxd says what is). Never parses user input, never logs, never
waits for a worker or for the supervisor.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from fastlb.lb.accept cimport ACCEPT_AGAIN, ACCEPT_BROKEN, ACCEPT_PAUSE, ACCEPT_RETRY, classify_accept_error
from fastlb.lb.atomics cimport full_fence, store_i64, store_u32, store_u64
from fastlb.lb.control cimport read_commands
from fastlb.lb.deadlines cimport arm_timer
from fastlb.lb.descriptors cimport (
    descriptor_adopted, descriptor_close, descriptor_count, descriptor_table_open, invariant,
)
from fastlb.lb.epoll cimport (
    WATCHED_CONTROL, WATCHED_LISTENER, WATCHED_NODE, WATCHED_OPENING, WATCHED_PIDFD, WATCHED_TIMER, watch_begin,
    watched_data, watched_index, watched_kind,
)
from fastlb.lb.errors cimport check
from fastlb.lb.events cimport flush_events, on_control_writable
from fastlb.lb.handover cimport dispatch_held
from fastlb.lb.held cimport held_drop_first, held_first
from fastlb.lb.listeners cimport (
    accept_from_all, drop_held_of_removed, is_accepting, listener_remove, listeners_poll, on_listener_event,
)
from fastlb.lb.node.attend cimport attend_nodes, on_node_event, waits_for_orphans
from fastlb.lb.opening.reading cimport on_opening_event, openings_expire
from fastlb.lb.page cimport MAX_LISTENERS, SLOT_ADMITTED, SLOT_DRAINING, SLOT_FREE, DispatcherPage
from fastlb.lb.posix cimport (
    CLOCK_MONOTONIC, EPOLL_CLOEXEC, EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, SIG_IGN, SIGHUP, SIGINT, SIGPIPE,
    SIGQUIT, SIGTERM, TFD_CLOEXEC, TFD_NONBLOCK, epoll_create1, epoll_event, epoll_wait, errno, monotonic_ns, munmap,
    signal, timerfd_create,
)
from fastlb.lb.policy cimport open_waiting_places
from fastlb.lb.send_error cimport SEND_BROKEN, SEND_FULL, SEND_PAUSE, SEND_RETRY, classify_send_error
from fastlb.lb.slots cimport WorkerSlot
from fastlb.lb.state cimport Dispatcher, candidates_refresh, count, publish_changed, slot_look
from fastlb.lb.takeback cimport empty_channels, rescue_overdue
from fastlb.lb.workers cimport release_removed, slot_release, worker_died

cdef enum:
    EVENTS_PER_TURN = 256
    FOREVER = -1  # a time-out of epoll_wait


cdef void loop(Dispatcher *d) noexcept nogil:
    """Sleep and take turns until nothing is left to do."""
    cdef epoll_event events[EVENTS_PER_TURN]
    cdef int event_count, timeout
    while True:
        timeout = prepare_sleep(d)
        publish(d)
        flush_events(d)  # after publishing: a supervisor that reads a PONG reads this turn's figures in the page
        if is_finished(d):
            return
        event_count = epoll_wait(d.epoll_fd, events, EVENTS_PER_TURN, timeout)
        d.now_ns = monotonic_ns()
        count(&d.page.wakeups, 1)
        turn(d, events, max(event_count, 0))


cdef void turn(Dispatcher *d, const epoll_event *events, int event_count) noexcept nogil:
    """Do everything that can be done now, the oldest obligations first."""
    cdef bint commands = False
    for i in range(event_count):
        on_event(d, &events[i], &commands)
    if commands:
        read_commands(d)
    d.retry_wanted = False
    if d.openings.count:
        openings_expire(d)
    if d.node_workers:
        attend_nodes(d)
    candidates_refresh(d)
    dispatch_held(d)
    if d.channels_to_empty:
        empty_channels(d)
        dispatch_held(d)
    rescue_overdue(d)
    dispatch_held(d)
    drop_held_of_removed(d)
    accept_from_all(d)
    fill_waiting_places(d)
    if d.removing:
        release_removed(d)


cdef void fill_waiting_places(Dispatcher *d) noexcept nogil:
    """When no worker has room, have one connection wait for each that is full; everything that was staged is sent.

    When another worker has room it gets one of them at once: so we want to know of every move.
    """
    cdef uint32_t places
    if d.table.with_room:
        return
    if candidates_refresh(d):  # else prepare_sleep, which looks for moves, would not see these
        rescue_overdue(d)
        dispatch_held(d)
    if d.table.with_room == 0:
        open_waiting_places(&d.table)
    places = d.table.with_room
    if places:
        dispatch_held(d)
        accept_from_all(d)
        d.rescue_wanted |= d.table.with_room < places and d.admitted > 1


cdef void on_event(Dispatcher *d, const epoll_event *event, bint *commands) noexcept nogil:
    """Deal with one event; commands are only noted, because they may reuse a slot that later events speak of."""
    cdef uint32_t kind = watched_kind(event), index = watched_index(event)
    if kind == WATCHED_LISTENER:
        on_listener_event(d, index)
    elif kind == WATCHED_PIDFD:
        worker_died(d, index)
    elif kind == WATCHED_NODE:
        on_node_event(d, index, event.events)
    elif kind == WATCHED_OPENING:
        on_opening_event(d, index, event.events)
    elif kind == WATCHED_TIMER:
        d.timer_at_ns = 0
    elif kind == WATCHED_CONTROL:
        commands[0] |= event.events & (EPOLLIN | EPOLLHUP | EPOLLERR) != 0
        if event.events & EPOLLOUT:
            on_control_writable(d)
    # WATCHED_WAKEUP: there is nothing to deal with, every turn looks at the workers' pages


cdef void publish(Dispatcher *d) noexcept nogil:
    """Store in our page what this turn has left."""
    publish_changed(d)
    store_u64(&d.page.held, d.held.count)
    store_u64(&d.page.openings, d.openings.count)
    store_u64(&d.page.starved, d.starved)
    store_u64(&d.page.open_fds, <uint64_t>descriptor_count())
    store_i64(&d.page.heartbeat_ns, d.now_ns)


cdef void watch_workers(Dispatcher *d, bint wanted) noexcept nogil:
    """Have the workers that could let us go on write their eventfds when they move, or (not `wanted`) not."""
    cdef WorkerSlot *slot
    cdef bint watched
    for index in range(d.slots_end):
        slot = &d.slots[index]
        watched = wanted and (slot.state == SLOT_ADMITTED or (slot.state == SLOT_DRAINING and slot.emptying_channel))
        if slot.state != SLOT_FREE and watched != slot.watched:
            slot.watched = watched
            store_u32(&slot.page.starved, watched)


cdef bint workers_moved(Dispatcher *d) noexcept nogil:
    """Look at the pages of all workers that could let us go on; return whether any moved since the last look."""
    cdef bint moved = candidates_refresh(d)
    for index in range(d.slots_end):
        if d.slots[index].state == SLOT_DRAINING and d.slots[index].emptying_channel:
            moved |= slot_look(d, &d.slots[index])
    return moved


cdef bint has_listener(const Dispatcher *d) noexcept nogil:
    """Whether connections of some listener are wanted for workers."""
    for index in range(d.listeners_end):
        if d.listeners[index].fd >= 0 and not d.listeners[index].broken and not d.listeners[index].refuses:
            return True
    return False


cdef int prepare_sleep(Dispatcher *d) noexcept nogil:
    """Decide what wakes us from the sleep that follows; return the time-out for epoll_wait: at once or never.

    Where only a worker's move lets us go on: we set `starved` in the pages, pass a full fence, then look at all pages;
    the worker stores its counter, passes a full fence, then looks at `starved`. So either we see that it moved or it
    sees that we sleep; without the fences both could miss.
    """
    cdef bint accepting = is_accepting(d) and has_listener(d)
    cdef bint waiting = d.held.count > d.held_passed
    cdef bint blocked = d.table.with_room == 0 or waiting
    d.starved = blocked and (accepting or waiting)
    d.retry_wanted |= d.nodes_paused > 0 and not d.outbox.blocked
    listeners_poll(d, accepting and not blocked and d.now_ns >= d.send_paused_until_ns)
    arm_timer(d)
    if not d.starved and not d.rescue_wanted and not d.channels_to_empty and d.held.count == d.held_unserved:
        watch_workers(d, False)
        return FOREVER
    watch_workers(d, True)
    full_fence()
    return 0 if workers_moved(d) else FOREVER


cdef bint is_finished(const Dispatcher *d) noexcept nogil:
    """Whether nothing is left to do after QUIT: held connections wait for a worker as long as one is admitted."""
    if waits_for_orphans(d):
        return False
    return d.finishing and ((d.held.count == d.held_unserved and d.openings.count == 0) or d.admitted == 0)


cdef void dispatcher_close(Dispatcher *d) noexcept nogil:
    """Close every descriptor that is ours. What lies in the channels stays there, for the workers to take."""
    for index in range(d.listeners_end):
        listener_remove(d, index)
    for index in range(d.slots_end):
        if d.slots[index].state != SLOT_FREE:
            slot_release(d, index)
    while d.held.count:
        descriptor_close(&held_first(&d.held).fd)
        held_drop_first(&d.held)
        count(&d.page.dropped, 1)
    descriptor_close(&d.timer_fd)
    descriptor_close(&d.descriptor_table_fd)
    descriptor_close(&d.epoll_fd)
    descriptor_close(&d.control_fd)
    publish(d)
    invariant(descriptor_count() == 0)
    if d.page != &d.private_page:
        munmap(d.page, sizeof(DispatcherPage))


cdef int dispatcher_open(Dispatcher *d, int control_fd) noexcept nogil:
    """Begin with an empty state that watches the control socket, which is ours from now on; 0 or -errno."""
    cdef int result
    d.control_fd = descriptor_adopted(control_fd)
    d.timer_fd = d.descriptor_table_fd = -1
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
    # edge-triggered: never read
    result = watch_begin(d.epoll_fd, d.timer_fd, EPOLLIN | EPOLLET, watched_data(WATCHED_TIMER, 0))
    if result < 0:
        return result
    return watch_begin(d.epoll_fd, control_fd, EPOLLIN, watched_data(WATCHED_CONTROL, 0))


cdef void ignore_signals() noexcept nogil:
    """Ignore the signals that a terminal or a service manager sends to the whole group: the supervisor heeds them."""
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
    """Return what the dispatcher does after accept4 failed with errno `error`; for tests."""
    cdef int verdict = classify_accept_error(error)
    return {ACCEPT_AGAIN: "again", ACCEPT_RETRY: "retry", ACCEPT_PAUSE: "pause", ACCEPT_BROKEN: "broken"}[verdict]


def send_verdict(int error):
    """Return what the dispatcher does after a hand-over failed with errno `error`; for tests."""
    cdef int verdict = classify_send_error(error)
    return {SEND_RETRY: "retry", SEND_FULL: "full", SEND_PAUSE: "pause", SEND_BROKEN: "broken"}[verdict]
