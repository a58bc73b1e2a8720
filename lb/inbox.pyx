"""Owns the worker's end of a connection channel: takes connections, counts them, tells when they close.

Runs in Python workers, on the event loop's thread; for a WSGI app in the thread that leads. Counts a message before any
other code sees its connections, so that the dispatcher never takes back what was taken. Never waits, and never reads
while descriptors are short: recvmsg(2) into a full descriptor table loses connections without an error.
"""

import os
import time

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from fastlb.lb.connection cimport (
    CONNECTION_HEADER_BYTES, CONNECTION_MAGIC, CONNECTION_RECORD_BYTES, CONNECTIONS_PER_MESSAGE,
    ConnectionMessage, ConnectionRecord, position_epoch,
)
from fastlb.lb.forks cimport forks
from fastlb.lb.page cimport WorkerStatus
from fastlb.lb.posix cimport (
    AF_INET, AF_INET6, AF_UNIX, EAGAIN, MSG_CTRUNC, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, O_CLOEXEC, O_DIRECTORY,
    O_PATH, RLIMIT_NOFILE, SHUT_WR, SOCK_STREAM, close, fstat, getrlimit, getsockname, if_indextoname, inet_ntop,
    memmem, ntohs, open, recv, rlimit, shutdown, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, sockaddr_un,
    socklen_t, stat,
)
from fastlb.lb.received cimport Received, close_rights, receive

cdef enum:
    TEXT_BYTES = 64          # above INET6_ADDRSTRLEN and IF_NAMESIZE
    RESERVED_FDS = 64        # kept for the app's own files and sockets
    RECOUNT_EVERY = 32       # connections between two counts of the table on Linux < 6.2
    FIRST_BYTES = 8192       # of a new client that are read before an event loop does

cdef char *HEAD_END = b"\r\n\r\n"
cdef uint8_t[12] MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]  # ::ffff:a.b.c.d

if sizeof(ConnectionRecord) != CONNECTION_RECORD_BYTES:
    raise ImportError(f"connection record: {sizeof(ConnectionRecord)} bytes, not {CONNECTION_RECORD_BYTES}")


cdef bint is_acceptable(const ConnectionMessage *message, const Received *received) noexcept nogil:
    """Whether a message is a dispatcher's: whole, or short of descriptors because our table was full."""
    if received.length < CONNECTION_HEADER_BYTES or received.flags & MSG_TRUNC:
        return False
    if message.magic != CONNECTION_MAGIC or not 1 <= message.count <= CONNECTIONS_PER_MESSAGE:
        return False
    if received.length < <ssize_t>(CONNECTION_HEADER_BYTES + message.count * CONNECTION_RECORD_BYTES):
        return False
    # With a full table the first ones arrived, in order.
    return received.fd_count == message.count or (
        received.fd_count < message.count and received.flags & MSG_CTRUNC
    )


cdef class HandedSocket:
    """A taken connection, with what an event loop wants of a socket object and an HTTP server wants to know.

    uvloop reads `type`, `family` and `fileno()`, owns the descriptor from then on and calls `close()` once,
    when its handle has closed it. `close()` therefore only counts. `family` is always AF_UNIX: for uvloop
    that means "a stream", and it then asks the kernel for neither address nor options (they are in the
    message, and inherited from the listener); reading and writing are the same.
    """

    cdef ConnectionInbox inbox
    cdef ConnectionRecord record
    cdef int fd
    cdef bint busy
    cdef bint counted  # False: it did not come by the channel, and the page says nothing of it

    def __cinit__(self):
        self.fd = -1

    def __dealloc__(self):
        if self.fd >= 0:
            close(self.fd)

    @property
    def type(self):
        """SOCK_STREAM."""
        return SOCK_STREAM

    @property
    def family(self):
        """AF_UNIX, whatever the connection is; see the class."""
        return AF_UNIX

    @property
    def peer_family(self):
        """The family of the peer's address: AF_INET, AF_INET6 or AF_UNIX; of one that a proxy names, the client's."""
        return self.record.family

    @property
    def listener_id(self):
        """The listener that the connection came from."""
        return self.record.listener_id

    @property
    def accepted_at_ns(self):
        """When the dispatcher accepted the connection, CLOCK_MONOTONIC."""
        return self.record.accepted_at_ns

    def fileno(self):
        """Return the descriptor, -1 once closed."""
        return self.fd

    def peer_address(self):
        """Return (host, port) of the client from the message, None for a unix socket. No system call."""
        if self.record.family == AF_UNIX:
            return None
        host = address_text(self.record.family, self.record.address, self.record.scope_id)
        return (host, self.record.port)

    def local_address(self):
        """Return (host, port) of our side, (path, None) of a unix socket; None when closed. getsockname(2)."""
        cdef sockaddr_storage address
        cdef socklen_t length = sizeof(sockaddr_storage)
        cdef sockaddr_in *inet = <sockaddr_in *>&address
        cdef sockaddr_in6 *inet6 = <sockaddr_in6 *>&address
        if getsockname(self.fd, <sockaddr *>&address, &length) < 0:
            return None
        if address.ss_family == AF_INET:
            return (address_text(AF_INET, <uint8_t *>&inet.sin_addr, 0), ntohs(inet.sin_port))
        if address.ss_family == AF_INET6:
            host = address_text(AF_INET6, <uint8_t *>&inet6.sin6_addr, inet6.sin6_scope_id)
            return (host, ntohs(inet6.sin6_port))
        return unix_address(<sockaddr_un *>&address, length)

    def has_unread(self):
        """Say whether bytes of the client wait unread in the kernel."""
        cdef uint8_t byte
        return self.fd >= 0 and recv(self.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1

    def first_bytes(self):
        """Return what a new client has sent so far, read out of the kernel; b"" when that is to be read as always.

        That is: nothing or the end of its sending, more than FIRST_BYTES, or more than one head of a request: a
        protocol may pause reading at the second one, which an event loop heeds only once it has begun to read itself.
        """
        cdef char data[FIRST_BYTES]
        cdef char *first
        cdef ssize_t length = recv(self.fd, data, FIRST_BYTES, MSG_DONTWAIT | MSG_PEEK)
        if length <= 0 or length == FIRST_BYTES:
            return b""
        first = <char *>memmem(data, length, HEAD_END, 4)
        if first != NULL and memmem(first + 4, length - (first + 4 - data), HEAD_END, 4) != NULL:
            return b""
        length = recv(self.fd, data, length, MSG_DONTWAIT)  # the same ones, as no other process reads
        return data[:length] if length > 0 else b""

    def end_sending(self):
        """Shut down our direction: the client sees the end also while a child that C code forked has the descriptor.

        To be called before the close, when everything that was written is in the kernel. Nothing is done in a child.
        """
        if self.fd >= 0 and forks() == self.inbox.forks:
            shutdown(self.fd, SHUT_WR)

    def occupy(self):
        """Count the connection as busy again, until release() or close()."""
        if self.counted and not self.busy and self.fd >= 0:
            self.busy = True
            self.inbox.status.record_busy(1)

    def release(self):
        """Count the connection as not busy: a taken one is busy until this or close()."""
        if self.busy:
            self.busy = False
            self.inbox.status.record_busy(-1)

    def close(self):
        """Count the connection as closed, once. The descriptor's owner, the event loop, has closed that."""
        if self.fd >= 0:
            self.inbox.connection_fds.discard(self.fd)
            self.fd = -1
            if not self.counted:
                return
            self.release()
            self.inbox.on_socket_closed()

    def abandon(self):
        """Close the descriptor of a connection that no event loop has adopted, and count it as closed."""
        if self.fd >= 0:
            close(self.fd)
            self.close()


cdef str address_text(int family, const uint8_t *address, uint32_t scope_id):
    cdef char text[TEXT_BYTES]
    if family == AF_INET6 and memcmp(address, MAPPED_PREFIX, sizeof(MAPPED_PREFIX)) == 0:
        # A client that came over IPv4 to a listener for both families: lists of addresses have its IPv4 address.
        return address_text(AF_INET, address + sizeof(MAPPED_PREFIX), 0)
    if inet_ntop(family, address, text, sizeof(text)) == NULL:
        return ""
    host = text.decode("ascii")
    if scope_id == 0:
        return host
    # As getnameinfo(3) writes a link-local address: fe80::1%eth0
    zone = text.decode() if if_indextoname(scope_id, text) != NULL else str(scope_id)
    return f"{host}%{zone}"


cdef object unix_address(const sockaddr_un *address, socklen_t length):
    cdef size_t path_bytes = length - sizeof(uint16_t) if length > sizeof(uint16_t) else 0
    path = address.sun_path[:path_bytes]
    return (os.fsdecode(path if path.startswith(b"\0") else path.partition(b"\0")[0]), None)


cdef class ConnectionInbox:
    """Takes connections from `channel_fd` (borrowed) and counts them on `status`.

    Attributes:
        connection_fds: descriptors of the connections that are taken and not closed. Read only.
        ended: the channel is at its end: no connection will ever come.
        missed: how many connections lay in the channel until they were taken back, and went to other workers.
        pressed: descriptors are short. Stop watching the channel until `on_room` is called.
        capacity: how many connections may be busy; nothing is taken when so many are. 0: no bound.
        on_room: called without arguments when a close ended the pressure, or when fewer are busy than before; may be
            None. It must only schedule.
        on_close: called without arguments after each close; may be None. It must only schedule.
    """

    cdef readonly WorkerStatus status
    cdef readonly set connection_fds
    cdef readonly bint ended
    cdef readonly uint64_t missed
    cdef readonly bint pressed
    cdef readonly uint32_t capacity
    cdef public object on_room
    cdef public object on_close
    cdef int channel_fd
    cdef int table_fd
    cdef uint64_t forks         # this process is the worker while there were no more than these
    cdef int64_t counted_fds    # Linux < 6.2: open descriptors at the last count
    cdef int64_t uncounted_fds  # Linux < 6.2: connections since then

    def __cinit__(self, int channel_fd, WorkerStatus status not None):
        self.table_fd = open(b"/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)
        self.uncounted_fds = RECOUNT_EVERY
        self.channel_fd = channel_fd
        self.forks = forks()
        self.status = status
        self.connection_fds = set()

    def __dealloc__(self):
        if self.table_fd >= 0:
            close(self.table_fd)

    def fileno(self):
        """Return the channel's descriptor."""
        return self.channel_fd

    def receive(self, int most=1):
        """Take messages until at least `most` connections came or nothing waits; return them, HandedSockets.

        An empty list: nothing waits now, or `ended`, or `pressed`. Malformed messages are skipped; their
        descriptors are closed and counted as lost.
        """
        cdef list taken = []
        if self.capacity:
            if self.status.page.busy >= self.capacity:
                return taken
            most = min(<uint64_t>most, self.capacity - self.status.page.busy)
        # Between two messages of a turn nothing else opens a descriptor: one look at the table is enough.
        cdef int64_t spare = self.spare_fds()
        while not self.ended and len(taken) < most:
            if spare < len(taken):
                self.press()
                break
            if not self.receive_message(taken):
                break
        if taken:
            self.status.wake()
        return taken

    @property
    def full(self):
        """Whether as many connections are busy as may be."""
        return self.capacity != 0 and self.status.page.busy >= self.capacity

    def adopt(self, int fd, uint16_t port, uint32_t listener_id):
        """Return a connection that did not come by the channel, which owns `fd` and is counted nowhere.

        `port`: of its client on this machine, 127.0.0.1; 0: it is a unix socket.
        """
        cdef HandedSocket handed = HandedSocket.__new__(HandedSocket)
        memset(&handed.record, 0, sizeof(handed.record))
        handed.inbox = self
        handed.record.listener_id = listener_id
        handed.record.accepted_at_ns = time.monotonic_ns()
        handed.record.family = AF_INET if port else AF_UNIX
        handed.record.port = port
        handed.record.address[0], handed.record.address[3] = 127, 1
        handed.fd = fd
        self.connection_fds.add(fd)
        return handed

    def look_for_room(self):
        """End the pressure if enough descriptors are free: for descriptors that the app itself has closed."""
        if self.pressed and self.spare_fds() >= 0:
            self.pressed = False
            self.status.set_pressure(False)
            if self.on_room is not None:
                self.on_room()

    cdef bint receive_message(self, list taken):
        """Take one message and append its connections; False when nothing waits now or ever, or it was not whole."""
        cdef ConnectionMessage message
        cdef Received received
        receive(self.channel_fd, &message, sizeof(message), &received)
        if received.length == -EAGAIN:
            return False
        if received.length <= 0:
            close_rights(&received)
            self.ended = True
            return False
        if is_acceptable(&message, &received):
            self.take(&message, &received, taken)
            return received.fd_count == message.count
        self.status.record_lost(received.fd_count)
        close_rights(&received)
        return True

    cdef object take(self, const ConnectionMessage *message, const Received *received, list taken):
        """Count a message as taken and append its connections; each HandedSocket owns its descriptor."""
        cdef HandedSocket handed
        self.missed += self.gap_before(message)
        self.status.take(message.position, received.fd_count)
        self.uncounted_fds += received.fd_count
        if received.fd_count < message.count:
            self.status.record_lost(message.count - received.fd_count)
            self.uncounted_fds = RECOUNT_EVERY
            self.press()
        for i in range(received.fd_count):
            handed = HandedSocket.__new__(HandedSocket)
            handed.inbox = self
            handed.record = message.records[i]
            handed.fd = received.fds[i]
            handed.busy = handed.counted = True
            self.connection_fds.add(handed.fd)
            taken.append(handed)

    cdef uint64_t gap_before(self, const ConnectionMessage *message) noexcept:
        """Return how many connections of the same dispatcher came between the last message and this one."""
        cdef uint64_t before = self.status.page.position
        cdef uint64_t first = message.position - message.count
        if position_epoch(before) != position_epoch(message.position) or first <= before:
            return 0
        return first - before

    cdef int64_t spare_fds(self):
        """Return how many descriptors are free beyond the reserve, which has room for a message; below 0: none."""
        cdef rlimit limit
        cdef int64_t most
        if getrlimit(RLIMIT_NOFILE, &limit) < 0:
            return CONNECTIONS_PER_MESSAGE
        most = <int64_t>min(limit.rlim_cur, <uint64_t>(1 << 30))
        # A small limit keeps a quarter.
        return most - self.open_fds() - max(min(RESERVED_FDS, most // 4), CONNECTIONS_PER_MESSAGE)

    cdef int64_t open_fds(self):
        cdef stat status
        # The size of /proc/self/fd is the number of open descriptors since Linux 6.2, 0 before.
        if self.table_fd >= 0 and fstat(self.table_fd, &status) == 0 and status.st_size > 0:
            return status.st_size
        if self.pressed or self.uncounted_fds >= RECOUNT_EVERY:
            self.counted_fds = <int64_t>len(os.listdir("/proc/self/fd"))
            self.uncounted_fds = 0
        return self.counted_fds + self.uncounted_fds

    cdef void press(self) noexcept:
        if not self.pressed:
            self.pressed = True
            self.status.set_pressure(True)

    def bound_busy(self, uint32_t capacity):
        """Take nothing while so many connections are busy; 0: no bound."""
        self.capacity = capacity
        self.status.on_less_busy = self.on_less_busy if capacity else None

    def on_less_busy(self):
        """Say that there is room, if there was none before (WorkerStatus calls it)."""
        if self.status.page.busy + 1 == self.capacity and self.on_room is not None:
            self.on_room()

    cdef object on_socket_closed(self):
        self.status.record_closed()
        if self.pressed:
            self.look_for_room()
        if self.on_close is not None:
            self.on_close()
