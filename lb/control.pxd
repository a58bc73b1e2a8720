# Owns the supervisor's commands: receive, check, carry out. Runs in the dispatcher process. A command that is malformed
# or impossible changes nothing, is reported as EVENT_REJECTED, and every descriptor that came along is closed. The same
# command twice changes nothing (but SEND).

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastlb.lb.command cimport (
    COMMAND_ADD_LISTENER, COMMAND_ADD_NODE_WORKER, COMMAND_ADD_WORKER, COMMAND_ADMIT, COMMAND_CONFIGURE, COMMAND_DRAIN,
    COMMAND_EXPECT_OPENING, COMMAND_MAGIC, COMMAND_PAUSE, COMMAND_PING, COMMAND_PROBE, COMMAND_QUIT, COMMAND_REMOVE,
    COMMAND_REMOVE_LISTENER, COMMAND_RESUME, COMMAND_SEND, COMMAND_SERVE, COMMAND_SET_POLICY, COMMAND_WITHDRAW,
    DRAIN_TELL_LATER, Command, ConfigureFields, ListenerFields, OpeningFields,
)
from fastlb.lb.epoll cimport watch_end
from fastlb.lb.events cimport report_rejected
from fastlb.lb.listeners cimport listener_adopt, listener_close, listener_remove
from fastlb.lb.node.attend cimport orphan_nodes
from fastlb.lb.node.channel cimport NODE_MARKER
from fastlb.lb.node.write cimport OutgoingLine, node_probe, node_say
from fastlb.lb.opening.networks cimport MAX_NETWORKS, Network
from fastlb.lb.opening.request_head cimport COOKIE_NAME_BYTES
from fastlb.lb.opening.table cimport Openings
from fastlb.lb.page cimport (
    DISPATCHER_PAGE_MAGIC, MAX_LISTENERS, MAX_SLOTS, SLOT_ADDED, SLOT_ADMITTED, SLOT_FREE, DispatcherPage, page_map,
)
from fastlb.lb.policy cimport POLICY_COUNT
from fastlb.lb.posix cimport (
    AF_UNIX, EAGAIN, EBUSY, EINVAL, EMFILE, EPROTO, ESTALE, F_GETFL, F_SETFL, MSG_CTRUNC, MSG_TRUNC, O_NONBLOCK,
    POLLHUP, POLLRDHUP, SO_ACCEPTCONN, SO_DOMAIN, SO_TYPE, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET, fcntl, getsockopt,
    munmap, poll, pollfd,
)
from fastlb.lb.received cimport Received, close_rights, receive
from fastlb.lb.slots cimport WorkerSlot
from fastlb.lb.state cimport Dispatcher, candidates_refresh
from fastlb.lb.workers cimport (
    NODE_DUPLICATE_FD, NODE_WORKER_FDS, WORKER_CHANNEL_FD, WORKER_DUPLICATE_FD, WORKER_FDS, node_add, worker_add,
    worker_admit, worker_drain, worker_forget, worker_serve, worker_withdraw,
)

cdef enum:
    COMMANDS_PER_TURN = 64
    EPOCH_LIMIT = 1 << 21  # so that a connection's number for a Node worker stays below 2**53


cdef inline int socket_option(int fd, int option) noexcept nogil:
    """Return an int option of SOL_SOCKET; -1 when `fd` is no socket."""
    cdef int value = 0
    cdef unsigned int length = sizeof(value)
    return value if getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 else -1


cdef inline bint is_channel(int fd, int kind) noexcept nogil:
    """Whether `fd` is a unix socket of this kind (SOCK_...)."""
    return socket_option(fd, SO_DOMAIN) == AF_UNIX and socket_option(fd, SO_TYPE) == kind


cdef inline void make_nonblocking(int fd) noexcept nogil:
    """Make a descriptor non-blocking: a listener on which we could hang would stop every worker."""
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)


cdef inline int handle_configure(Dispatcher *d, const ConfigureFields *wanted, Received *received) noexcept nogil:
    cdef void *page = NULL
    cdef int result
    if received.fd_count != 1 or wanted.policy >= POLICY_COUNT or wanted.handover_timeout_ns <= 0:
        return -EINVAL
    if d.configured:
        d.outbox.configured = wanted.epoch == d.epoch
        return 0 if wanted.epoch == d.epoch else -EBUSY
    if wanted.epoch >= EPOCH_LIMIT:
        return -EINVAL
    result = page_map(received.fds[0], sizeof(DispatcherPage), &page)
    if result < 0:
        return result
    if (<DispatcherPage *>page).magic != DISPATCHER_PAGE_MAGIC:
        munmap(page, sizeof(DispatcherPage))
        return -EINVAL
    configure(d, wanted, <DispatcherPage *>page)
    return 0


cdef inline void configure(Dispatcher *d, const ConfigureFields *wanted, DispatcherPage *page) noexcept nogil:
    """Begin this dispatcher's epoch: its page counts from 0, whatever a predecessor left there."""
    memset(page, 0, sizeof(page[0]))
    page.magic = DISPATCHER_PAGE_MAGIC
    page.policy = wanted.policy
    page.epoch = wanted.epoch
    d.page = page
    d.epoch = wanted.epoch
    d.policy = wanted.policy
    d.handover_timeout_ns = wanted.handover_timeout_ns
    d.configured = True
    d.outbox.configured = True


cdef inline int handle_add_listener(Dispatcher *d, const ListenerFields *wanted, Received *received) noexcept nogil:
    cdef int result
    if wanted.listener_id >= MAX_LISTENERS or received.fd_count != 1 or wanted.refuses > 1 or d.finishing:
        return -EINVAL
    if d.listeners[wanted.listener_id].fd >= 0:
        return 0
    if socket_option(received.fds[0], SO_ACCEPTCONN) != 1:
        return -EINVAL
    make_nonblocking(received.fds[0])
    result = listener_adopt(d, wanted, received.fds[0])
    if result == 0:
        received.fds[0] = -1
    return result


cdef inline int handle_remove_listener(Dispatcher *d, uint32_t listener_id) noexcept nogil:
    if listener_id >= MAX_LISTENERS:
        return -EINVAL
    listener_remove(d, listener_id)
    return 0


cdef inline int handle_add_worker(Dispatcher *d, const Command *command, Received *received) noexcept nogil:
    cdef int result
    cdef WorkerSlot *slot
    if command.slot >= MAX_SLOTS or not are_worker_fds(command, received):
        return -EINVAL
    slot = &d.slots[command.slot]
    if slot.state != SLOT_FREE:
        return 0 if slot.incarnation == command.incarnation and not slot.removing else -EBUSY
    if command.kind == COMMAND_ADD_NODE_WORKER:
        result = node_add(d, command, received.fds)
    else:
        result = worker_add(d, command, received.fds)
    if result == 0:
        received.fd_count = 0
    return result


cdef inline bint are_worker_fds(const Command *command, Received *received) noexcept nogil:
    """Whether the descriptors of ADD_WORKER or ADD_NODE_WORKER are what command.pxd says, as far as can be seen."""
    cdef int *fds = received.fds
    if command.kind == COMMAND_ADD_NODE_WORKER:
        if received.fd_count == NODE_WORKER_FDS:
            fds[NODE_DUPLICATE_FD] = -1
        elif received.fd_count != NODE_WORKER_FDS + 1 or not is_channel(fds[NODE_DUPLICATE_FD], SOCK_STREAM):
            return False
        return is_channel(fds[WORKER_CHANNEL_FD], SOCK_STREAM)
    return (
        received.fd_count == WORKER_FDS
        and is_channel(fds[WORKER_CHANNEL_FD], SOCK_SEQPACKET) and is_channel(fds[WORKER_DUPLICATE_FD], SOCK_SEQPACKET)
    )


cdef inline int handle_admit(Dispatcher *d, WorkerSlot *slot, uint32_t baseline) noexcept nogil:
    if slot.state == SLOT_ADMITTED:
        return 0
    if slot.state != SLOT_ADDED:
        return -EINVAL
    worker_admit(d, slot, baseline)
    return 0


cdef inline int handle_withdraw(Dispatcher *d, WorkerSlot *slot) noexcept nogil:
    if slot.state == SLOT_ADMITTED:
        worker_withdraw(d, slot)
    return 0


cdef inline int handle_send(
    Dispatcher *d, const Command *command, Received *received, const char *text
) noexcept nogil:
    """Carry out SEND: write a line to a Node worker, with a socket to share if one came along."""
    cdef OutgoingLine line
    cdef int result
    line.text, line.length = text, <uint32_t>(received.length - <ssize_t>sizeof(Command))
    if line.length < 2 or text[line.length - 1] != 10 or received.fd_count > 1:
        return -EINVAL
    line.fd = received.fds[0] if received.fd_count else -1
    line.is_answered, line.number = received.fd_count == 1, NODE_MARKER
    result = node_say(d, command.slot, &line)
    if result == 0:
        received.fd_count = 0
    return result


cdef inline int handle_node_command(
    Dispatcher *d, const Command *command, Received *received, const char *text
) noexcept nogil:
    """Carry out SEND, SERVE or PROBE, for the incarnation of a Node worker that the command names."""
    cdef WorkerSlot *slot
    if command.slot >= MAX_SLOTS:
        return -EINVAL
    slot = &d.slots[command.slot]
    if slot.state == SLOT_FREE or slot.incarnation != command.incarnation:
        return -ESTALE
    if slot.node == NULL:
        return -EINVAL
    if command.kind == COMMAND_SEND:
        return handle_send(d, command, received, text)
    if command.kind == COMMAND_SERVE:
        worker_serve(d, slot, command.fields.listeners)
        return 0
    return node_probe(d, command.slot)


cdef inline int handle_drain(Dispatcher *d, WorkerSlot *slot, uint32_t word) noexcept nogil:
    if word > <uint32_t>DRAIN_TELL_LATER:
        return -EINVAL
    worker_drain(d, slot, word)
    return 0


cdef inline int handle_worker_command(Dispatcher *d, const Command *command) noexcept nogil:
    """Carry out ADMIT, WITHDRAW, DRAIN or REMOVE, for the incarnation that the command names and never for another."""
    cdef WorkerSlot *slot
    if command.slot >= MAX_SLOTS:
        return -EINVAL
    slot = &d.slots[command.slot]
    if slot.state == SLOT_FREE:
        return 0 if command.kind == COMMAND_REMOVE else -ESTALE
    if slot.incarnation != command.incarnation:
        return -ESTALE
    if command.kind == COMMAND_ADMIT:
        return handle_admit(d, slot, command.fields.baseline)
    if command.kind == COMMAND_WITHDRAW:
        return handle_withdraw(d, slot)
    if command.kind == COMMAND_DRAIN:
        return handle_drain(d, slot, command.fields.drain_word)
    worker_forget(d, slot)
    return 0


cdef inline int handle_set_policy(Dispatcher *d, uint32_t policy) noexcept nogil:
    if policy >= POLICY_COUNT:
        return -EINVAL
    d.policy = d.page.policy = policy
    candidates_refresh(d)
    return 0


cdef inline int handle_expect_opening(
    Dispatcher *d, const OpeningFields *wanted, const Received *received, const char *text
) noexcept nogil:
    """Carry out EXPECT_OPENING; what is wrong in it changes nothing."""
    cdef Openings *openings = &d.openings
    cdef const Network *networks = <const Network *>text
    cdef ssize_t length = received.length - <ssize_t>sizeof(Command)
    if wanted.proxy_timeout_ns < 0 or wanted.head_timeout_ns < 0 or wanted.unix_peers > 1 or received.fd_count:
        return -EINVAL
    if wanted.networks > MAX_NETWORKS or wanted.cookie_bytes > COOKIE_NAME_BYTES:
        return -EINVAL
    if length != <ssize_t>(wanted.networks * sizeof(Network) + wanted.cookie_bytes):
        return -EINVAL
    for i in range(wanted.networks):
        if networks[i].bits > 128:
            return -EINVAL
    memcpy(openings.proxies.networks, networks, wanted.networks * sizeof(Network))
    memcpy(openings.head_rules.cookie, networks + wanted.networks, wanted.cookie_bytes)
    openings.proxies.count, openings.proxies.unix_peers = wanted.networks, wanted.unix_peers
    openings.head_rules.cookie_bytes = wanted.cookie_bytes
    openings.proxy_timeout_ns, openings.head_timeout_ns = wanted.proxy_timeout_ns, wanted.head_timeout_ns
    openings.wanted = wanted.proxy_timeout_ns > 0 or wanted.head_timeout_ns > 0
    return 0


cdef inline int handle_ping(Dispatcher *d, uint64_t token) noexcept nogil:
    d.outbox.pong = True
    d.outbox.ping_token = token
    return 0


cdef inline int handle_flag(bint *flag, bint value) noexcept nogil:
    flag[0] = value
    return 0


cdef inline int handle_command(
    Dispatcher *d, const Command *command, Received *received, const char *text
) noexcept nogil:
    """Carry out one well-formed command; 0 or -errno. Descriptors that stay in `received` are closed by the caller."""
    cdef uint32_t kind = command.kind
    if kind == COMMAND_PING:
        return handle_ping(d, command.fields.ping_token)
    if kind == COMMAND_CONFIGURE:
        return handle_configure(d, &command.fields.configure, received)
    if kind == COMMAND_QUIT:
        return handle_flag(&d.finishing, True)
    if not d.configured:
        return -EPROTO
    if kind == COMMAND_ADD_LISTENER:
        return handle_add_listener(d, &command.fields.listener, received)
    if kind == COMMAND_REMOVE_LISTENER:
        return handle_remove_listener(d, command.fields.listener.listener_id)
    if kind == COMMAND_ADD_WORKER or kind == COMMAND_ADD_NODE_WORKER:
        return handle_add_worker(d, command, received)
    if kind == COMMAND_ADMIT or kind == COMMAND_WITHDRAW or kind == COMMAND_DRAIN or kind == COMMAND_REMOVE:
        return handle_worker_command(d, command)
    if kind == COMMAND_SEND or kind == COMMAND_SERVE or kind == COMMAND_PROBE:
        return handle_node_command(d, command, received, text)
    if kind == COMMAND_PAUSE or kind == COMMAND_RESUME:
        return handle_flag(&d.paused, kind == COMMAND_PAUSE)
    if kind == COMMAND_EXPECT_OPENING:
        return handle_expect_opening(d, &command.fields.opening, received, text)
    if kind == COMMAND_SET_POLICY:
        return handle_set_policy(d, command.fields.policy)
    return -EINVAL


cdef inline int check_command(const Command *command, const Received *received) noexcept nogil:
    """Check that a message is one whole command; 0 or -errno."""
    cdef bint has_text
    if received.flags & MSG_CTRUNC:  # our table was full: the supervisor has its own copies, and can try again
        return -EMFILE
    if received.flags & MSG_TRUNC or received.length < <ssize_t>sizeof(Command) or command.magic != COMMAND_MAGIC:
        return -EINVAL
    has_text = command.kind == COMMAND_SEND or command.kind == COMMAND_EXPECT_OPENING
    return 0 if received.length == sizeof(Command) or has_text else -EINVAL


cdef inline bint peer_is_gone(int fd) noexcept nogil:
    """Whether recvmsg returned 0 at the end of the socket, and not for an empty message."""
    cdef pollfd question
    question.fd, question.events, question.revents = fd, POLLRDHUP, 0
    return poll(&question, 1, 0) > 0 and question.revents & (POLLRDHUP | POLLHUP) != 0


cdef inline void control_lost(Dispatcher *d) noexcept nogil:
    """Begin to finish, because the supervisor is gone."""
    d.control_closed = d.finishing = d.outbox.blocked = True
    watch_end(d.epoll_fd, d.control_fd)  # the end of a socket stays readable for ever
    # So that clients are refused, and the next supervisor finds the port free.
    for listener in range(d.listeners_end):
        listener_close(d, listener)
    orphan_nodes(d)


cdef inline bint read_command(Dispatcher *d) noexcept nogil:
    """Receive and carry out one command; return whether there may be another."""
    cdef Command *command = &d.command.head
    cdef Received received
    cdef int result
    memset(command, 0, sizeof(command[0]))
    receive(d.control_fd, &d.command, sizeof(d.command), &received)
    if received.length == -EAGAIN:
        return False
    if received.length < 0 or (received.length == 0 and received.fd_count == 0 and peer_is_gone(d.control_fd)):
        control_lost(d)
        return False
    result = check_command(command, &received)
    if result == 0:
        result = handle_command(d, command, &received, d.command.text)
    if result < 0:
        report_rejected(d, command, -result)
    close_rights(&received)
    return True


cdef inline void read_commands(Dispatcher *d) noexcept nogil:
    """Carry out what the supervisor has sent, at most COMMANDS_PER_TURN."""
    for _ in range(COMMANDS_PER_TURN):
        if d.control_closed or not read_command(d):
            return
