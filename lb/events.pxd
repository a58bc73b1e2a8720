# Owns what the supervisor is told. Runs in the dispatcher process. Nothing here waits: an event is a bit or a counter
# until the control socket takes it, so a supervisor that does not read costs us nothing and loses only repetitions.

from libc.stdint cimport uint32_t
from libc.string cimport memset

from fastlb.lb.command cimport (
    COMMAND_ADD_LISTENER, COMMAND_MAGIC, COMMAND_REMOVE_LISTENER, EVENT_CHANNEL_CLOSED, EVENT_CONFIGURED, EVENT_DRAINED,
    EVENT_LISTENER_ERROR, EVENT_PONG, EVENT_REJECTED, EVENT_WORKER_DIED, EVENT_WORKER_MESSAGE, Command, Event,
)
from fastlb.lb.epoll cimport WATCHED_CONTROL, watch_change, watched_data
from fastlb.lb.page cimport MAX_LISTENERS
from fastlb.lb.posix cimport EAGAIN, EINTR, EPOLLIN, EPOLLOUT, MSG_DONTWAIT, MSG_NOSIGNAL, errno, iovec, msghdr, sendmsg
from fastlb.lb.slots cimport WorkerSlot
from fastlb.lb.state cimport Dispatcher, Listener, REJECTIONS_KEPT, Rejection

cdef enum:
    REPORT_INTERVAL_NS = 1_000_000_000  # of one listener's errors


cdef inline void control_poll(Dispatcher *d, bint writable) noexcept nogil:
    """Watch the control socket for commands and, if it is to be `writable` again, for room."""
    cdef uint32_t events = EPOLLIN | (EPOLLOUT if writable else 0)
    watch_change(d.epoll_fd, d.control_fd, events, watched_data(WATCHED_CONTROL, 0))


cdef inline void report_rejected(Dispatcher *d, const Command *command, int error) noexcept nogil:
    """Note that a command was malformed or impossible. The first REJECTIONS_KEPT are told: they tell most."""
    cdef Rejection *rejection
    if d.outbox.rejections == REJECTIONS_KEPT:
        return
    rejection = &d.outbox.rejected[d.outbox.rejections]
    rejection.command, rejection.error = command.kind, error
    rejection.slot, rejection.incarnation = command.slot, command.incarnation
    rejection.listener_id = 0
    if command.kind == COMMAND_ADD_LISTENER or command.kind == COMMAND_REMOVE_LISTENER:
        rejection.listener_id = command.fields.listener.listener_id
    d.outbox.rejections += 1


cdef inline void report_slot(Dispatcher *d, WorkerSlot *slot, uint32_t kind) noexcept nogil:
    """Note an event about a worker (EVENT_WORKER_DIED, EVENT_CHANNEL_CLOSED or EVENT_DRAINED)."""
    if not slot.reports & (<uint32_t>1 << kind):
        slot.reports |= <uint32_t>1 << kind
        d.outbox.slot_reports += 1


cdef inline void drop_slot_reports(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    """Forget the events about a worker that is removed: the supervisor does not ask for them any more."""
    cdef uint32_t kind
    for kind in range(32):
        d.outbox.slot_reports -= slot.reports >> kind & 1
    slot.reports = 0


cdef inline void report_listener_error(Dispatcher *d, Listener *listener, int error) noexcept nogil:
    """Count an error of accept4. The first is told at once, those that follow once a second at most."""
    listener.last_error = error
    listener.errors_unreported += 1
    if listener.error_pending or d.now_ns - listener.reported_at_ns < REPORT_INTERVAL_NS:
        return
    listener.error_pending = True
    d.outbox.listener_reports += 1


cdef inline bint send_event(Dispatcher *d, Event *event) noexcept nogil:
    return send_event_with(d, event, NULL, 0)


cdef inline bint send_event_with(Dispatcher *d, Event *event, const char *text, size_t length) noexcept nogil:
    """Send an event with text; return whether the control socket took it.

    If not, epoll tells when there is room. An error that stays ends the work of this process.
    """
    cdef msghdr message
    cdef iovec parts[2]
    event.magic = COMMAND_MAGIC
    parts[0].iov_base, parts[0].iov_len = event, sizeof(Event)
    parts[1].iov_base, parts[1].iov_len = <void *>text, length
    memset(&message, 0, sizeof(message))
    message.msg_iov, message.msg_iovlen = parts, 2
    while sendmsg(d.control_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0:
        if errno == EINTR:
            continue
        d.outbox.blocked = True
        if errno == EAGAIN:
            control_poll(d, True)
        else:
            d.finishing = True
        return False
    return True


cdef inline bint send_configured(Dispatcher *d) noexcept nogil:
    cdef Event event
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_CONFIGURED
    event.fields.epoch = d.epoch
    return send_event(d, &event)


cdef inline bint send_pong(Dispatcher *d) noexcept nogil:
    cdef Event event
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_PONG
    event.fields.ping_token = d.outbox.ping_token
    return send_event(d, &event)


cdef inline bint send_rejection(Dispatcher *d, const Rejection *rejection) noexcept nogil:
    cdef Event event
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_REJECTED
    event.slot, event.incarnation = rejection.slot, rejection.incarnation
    event.fields.rejected.command = rejection.command
    event.fields.rejected.listener_id = rejection.listener_id
    event.fields.rejected.error = rejection.error
    return send_event(d, &event)


cdef inline bint send_slot_report(Dispatcher *d, uint32_t index, uint32_t kind) noexcept nogil:
    cdef Event event
    memset(&event, 0, sizeof(event))
    event.kind = kind
    event.slot, event.incarnation = index, d.slots[index].incarnation
    if kind == EVENT_CHANNEL_CLOSED:
        event.fields.channel_error = d.slots[index].channel_error
    else:
        event.fields.taken_back = d.slots[index].taken_back - d.slots[index].taken_back_before
    return send_event(d, &event)


cdef inline bint send_listener_report(Dispatcher *d, uint32_t index) noexcept nogil:
    cdef Event event
    cdef Listener *listener = &d.listeners[index]
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_LISTENER_ERROR
    event.fields.listener_error.listener_id = index
    event.fields.listener_error.error = listener.last_error
    event.fields.listener_error.failures = listener.errors_unreported
    if not send_event(d, &event):
        return False
    listener.errors_unreported = 0
    listener.reported_at_ns = d.now_ns
    listener.error_pending = False
    d.outbox.listener_reports -= 1
    return True


cdef inline bint send_message_part(
    Dispatcher *d, uint32_t index, const char *text, uint32_t length, bint goes_on
) noexcept nogil:
    """Send a part of the line that a Node worker wrote; return whether the control socket took it.

    Unlike other events this one is not kept here: what was not sent stays in the worker's channel.
    """
    cdef Event event
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_WORKER_MESSAGE
    event.slot, event.incarnation = index, d.slots[index].incarnation
    event.fields.goes_on = goes_on
    return send_event_with(d, &event, text, length)


cdef inline bint flush_answers(Dispatcher *d) noexcept nogil:
    """Send what answers a command: CONFIGURED, PONG, REJECTED; return whether all went out."""
    cdef uint32_t i, sent = 0
    if d.outbox.configured:
        if not send_configured(d):
            return False
        d.outbox.configured = False
    if d.outbox.pong:
        if not send_pong(d):
            return False
        d.outbox.pong = False
    while sent < d.outbox.rejections and send_rejection(d, &d.outbox.rejected[sent]):
        sent += 1
    for i in range(d.outbox.rejections - sent):
        d.outbox.rejected[i] = d.outbox.rejected[i + sent]
    d.outbox.rejections -= sent
    return d.outbox.rejections == 0


cdef inline bint flush_slot_reports(Dispatcher *d) noexcept nogil:
    """Send the events about workers; return whether all went out."""
    cdef WorkerSlot *slot
    cdef uint32_t index, kind
    for index in range(d.slots_end):
        if d.outbox.slot_reports == 0:
            return True
        slot = &d.slots[index]
        for kind in range(EVENT_WORKER_DIED, EVENT_DRAINED + 1):
            if not slot.reports & (<uint32_t>1 << kind):
                continue
            if not send_slot_report(d, index, kind):
                return False
            slot.reports &= ~(<uint32_t>1 << kind)
            d.outbox.slot_reports -= 1
    return True


cdef inline void flush_listener_reports(Dispatcher *d) noexcept nogil:
    for index in range(MAX_LISTENERS):
        if d.listeners[index].error_pending and not send_listener_report(d, index):
            return


cdef inline void flush_events(Dispatcher *d) noexcept nogil:
    """Send the events that are pending, as far as the control socket takes them."""
    if d.outbox.blocked:
        return
    if not flush_answers(d):
        return
    if d.outbox.slot_reports and not flush_slot_reports(d):
        return
    if d.outbox.listener_reports:
        flush_listener_reports(d)


cdef inline void on_control_writable(Dispatcher *d) noexcept nogil:
    """Go on sending events: the control socket has room again."""
    d.outbox.blocked = False
    control_poll(d, False)
