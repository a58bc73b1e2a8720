"""Owns the reading and writing of plain connections, in the place of an event loop's transports.

Runs in ASGI workers, on the event loop's thread. The loop watches one descriptor for all connections, and none at all
for one that is answered at once and ends: that costs four system calls where an event loop's transport makes thirteen,
and two turns of the loop less. Never blocks, and never begins to read a client that its protocol has paused.
"""

import os
from collections import deque

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memset

from fastlb.lb.epoll cimport watch_begin, watch_change, watch_end
from fastlb.lb.posix cimport (
    EAGAIN, EINTR, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLL_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, SHUT_WR, close,
    epoll_create1, epoll_event, epoll_wait, errno, iovec, msghdr, recv, send, sendmsg, shutdown,
)

from fastlb.worker.transport.first_read import receive_and_begin
from fastlb.worker.transport.unwatched import tell_of_unwatched

# asyncio's, as users know them: a protocol is told above the one, and again below the other (bytes).
cdef Py_ssize_t HIGH_WATER = 65536
cdef Py_ssize_t LOW_WATER = 16384


cdef class SocketPoller:
    """Makes transports of taken connections and calls their protocols.

    Args:
        loop: the event loop, any of asyncio's interface.
        factory: makes the protocol of a connection, an HttpConnection; called at once, with the connection.
    Attributes:
        begins_at_once: what adopt() was given has begun when it returns.
    """

    begins_at_once = True

    def __cinit__(self):
        self.epoll_fd = -1

    def __init__(self, loop, factory):
        self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll_fd < 0:
            raise OSError(errno, "the worker cannot watch its connections")
        self.loop = loop
        self.factory = factory
        self.watched = {}
        self.ended = []
        loop.add_reader(self.epoll_fd, self.on_readable)

    def __dealloc__(self):
        if self.epoll_fd >= 0:
            close(self.epoll_fd)

    def fileno(self):
        """Return the descriptor by which connections are watched; it stays the poller's."""
        return self.epoll_fd

    def adopt(self, handed):
        """Begin with `handed`: what the client has sent is read, up to READ_BYTES, and what it asks for has begun.

        Whatever goes wrong, the connection ends up closed and counted.
        """
        cdef SocketTransport transport = SocketTransport.__new__(SocketTransport)
        transport.poller = self
        transport.handed = handed
        transport.fd = handed.fileno()
        transport.reading = transport.in_call = True
        try:
            transport.protocol = self.factory(handed)
            transport.protocol.connection_made(transport)
            transport.begin()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            transport.fail_with(error)
        finally:
            transport.in_call = False
            self.end_turn()

    def on_readable(self):
        """Call the protocols of connections on which something has happened (the event loop calls it)."""
        cdef epoll_event[EVENTS] events
        cdef int count = epoll_wait(self.epoll_fd, events, EVENTS, 0)
        for i in range(count):
            transport = self.watched.get(<int>events[i].data.u64)
            if transport is not None:
                (<SocketTransport>transport).on_events(events[i].events)
        self.end_turn()

    def end_soon(self):
        """Tell protocols that their connections are gone (the event loop calls it)."""
        self.end_turn()

    cdef int add_ended(self, SocketTransport transport) except -1:
        """Tell the protocol of `transport` that it has ended, but not while the protocol does something itself."""
        self.ended.append(transport)
        if not transport.in_call and not self.end_is_called:
            self.end_is_called = True
            self.loop.call_soon(self.end_soon)
        return 0

    cdef int end_turn(self) except -1:
        cdef SocketTransport transport
        self.end_is_called = False
        if self.ended:
            ended, self.ended = self.ended, []
            for transport in ended:
                if transport.in_call:  # an app runs the loop in the loop
                    self.ended.append(transport)
                else:
                    transport.tell_end()
        return 0


cdef class SocketTransport:
    """The transport of one plain connection: as much of asyncio.Transport as an HttpConnection wants.

    What differs: connection_made() is called before it is watched, so nothing is read of a client whose reading was
    paused; a protocol's settle() is called when that begins.
    """

    # what protocols call

    def write(self, bytes data not None):
        """Send `data`, now as far as the kernel takes it."""
        self.put(data)

    def writelines(self, pieces):
        """Send several pieces of bytes, in one system call if the kernel takes them."""
        cdef Py_ssize_t sent
        if self.closing:
            return
        if self.pending:
            for piece in pieces:
                self.hold(piece, 0)
            return
        sent = send_pieces(self.fd, pieces, 0)
        if sent < 0:
            self.fail(<int>-sent)
            return
        for piece in pieces:
            if sent < PyBytes_GET_SIZE(<bytes>piece):
                self.hold(piece, sent)
            sent = max(0, sent - PyBytes_GET_SIZE(<bytes>piece))

    def can_write_eof(self):
        """Say whether our direction can be ended alone."""
        return True

    def write_eof(self):
        """End our direction when everything is sent."""
        self.eof_due = True
        if not self.pending_bytes and not self.ended:
            shutdown(self.fd, SHUT_WR)

    def get_write_buffer_size(self):
        """Return how many bytes the kernel has not taken yet."""
        return self.pending_bytes

    def is_closing(self):
        """Say whether it is closed, or will be when everything is sent."""
        return self.closing

    def pause_reading(self):
        """Read nothing more for now. What is watched changes only if the client sends something."""
        self.reading = False

    def resume_reading(self):
        """Read on."""
        if not self.closing and not self.at_end:
            self.reading = True
            self.rewatch()

    def close(self):
        """End the connection when everything is sent."""
        if self.closing:
            return
        self.closing = True
        self.reading = False
        if self.pending_bytes:
            self.rewatch()
        else:
            self.end()

    def abort(self):
        """End the connection; what is not sent is dropped."""
        self.end()

    # what the engine calls

    cdef int put(self, bytes data) except -1:
        """Send `data`, now as far as the kernel takes it."""
        cdef Py_ssize_t length = PyBytes_GET_SIZE(data), sent
        if self.closing:
            return 0
        if self.pending_bytes:
            return self.hold(data, 0)
        sent = send(self.fd, PyBytes_AS_STRING(data), length, MSG_DONTWAIT | MSG_NOSIGNAL)
        if sent == length:
            return 0
        if sent < 0:
            if errno != EAGAIN and errno != EINTR:
                return self.fail(errno)
            sent = 0
        return self.hold(data, sent)

    cdef bytes detach(self):
        """Leave the connection to somebody else, who is to send what is returned before anything of its own."""
        cdef bytes unsent = b""
        if self.pending_bytes:
            unsent = b"".join(self.pending)[self.sent_bytes:]
        self.unwatch()
        self.closing = self.ended = True
        self.reading = False
        self.protocol = self.pending = None
        self.pending_bytes = 0
        return unsent

    # what the poller calls

    cdef int begin(self) except -1:
        """Read what a new client has sent so far, and begin with it; then watch the connection, if there is need."""
        cdef ssize_t length = 0
        if not self.ended and self.reading:
            length = recv(self.fd, self.poller.buffer, READ_BYTES, MSG_DONTWAIT)
            if length > 0:
                receive_and_begin(self.poller.loop, self.protocol, self.poller.buffer[:length])
            elif length == 0:
                self.on_eof()
            elif errno != EAGAIN and errno != EINTR:
                self.fail(errno)
        self.settled = True
        if not self.ended:
            self.rewatch()
            self.protocol.settle()
        return 0

    cdef int on_events(self, uint32_t events) except -1:
        """Do what is due. Errors of the protocol end the connection."""
        cdef bint was_in_call = self.in_call
        self.in_call = True
        try:
            if self.pending_bytes and events & (EPOLLOUT | EPOLLERR | EPOLLHUP):
                self.flush()
            if self.ended or not events & (EPOLLIN | EPOLLERR | EPOLLHUP):
                return 0
            if self.reading:
                self.read()
            else:
                self.rewatch()  # it is paused, or was by what was done for another event
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.fail_with(error)
        finally:
            self.in_call = was_in_call
        return 0

    # inside

    cdef int read(self) except -1:
        cdef ssize_t length = recv(self.fd, self.poller.buffer, READ_BYTES, MSG_DONTWAIT)
        if length > 0:
            self.protocol.data_received(self.poller.buffer[:length])
        elif length == 0:
            self.on_eof()
        elif errno != EAGAIN and errno != EINTR:
            self.fail(errno)
        return 0

    cdef int on_eof(self) except -1:
        """The client sends no more: end, unless the protocol has something to answer."""
        self.reading = False
        self.at_end = True
        if self.protocol.eof_received():
            self.rewatch()
        else:
            self.close()
        return 0

    cdef int hold(self, bytes data, Py_ssize_t sent) except -1:
        """Keep `data`, of which `sent` bytes are sent, until the kernel takes it."""
        if self.ended:
            return 0
        if self.pending is None:
            self.pending = deque()
        if not self.pending_bytes:
            self.sent_bytes = sent
        self.pending.append(data)
        self.pending_bytes += PyBytes_GET_SIZE(data) - sent
        self.rewatch()
        if self.pending_bytes > HIGH_WATER and not self.writing_paused:
            self.writing_paused = True
            self.protocol.pause_writing()
        return 0

    cdef int flush(self) except -1:
        """Send more of what is held."""
        cdef Py_ssize_t sent = send_pieces(self.fd, self.pending, self.sent_bytes)
        if sent < 0:
            return self.fail(<int>-sent)
        self.drop_sent(sent)
        if not self.pending_bytes:
            if self.eof_due:
                shutdown(self.fd, SHUT_WR)
            if self.closing:
                return self.end()
            self.rewatch()
        if self.writing_paused and self.pending_bytes <= LOW_WATER:
            self.writing_paused = False
            self.protocol.resume_writing()
        return 0

    cdef int drop_sent(self, Py_ssize_t sent) except -1:
        cdef Py_ssize_t length
        self.pending_bytes -= sent
        self.sent_bytes += sent
        while self.pending:
            length = PyBytes_GET_SIZE(<bytes>self.pending[0])
            if self.sent_bytes < length:
                break
            self.sent_bytes -= length
            self.pending.popleft()
        return 0

    cdef int rewatch(self) except -1:
        """Let the kernel tell what is waited for, and nothing else: it never stops telling that a client is gone."""
        cdef uint32_t wanted = (EPOLLIN if self.reading else 0) | (EPOLLOUT if self.pending_bytes else 0)
        cdef int failed
        if wanted == self.watched or not self.settled or self.ended:
            return 0
        if not wanted:
            return self.unwatch()
        if self.watched:
            failed = watch_change(self.poller.epoll_fd, self.fd, wanted, self.fd)
        else:
            failed = watch_begin(self.poller.epoll_fd, self.fd, wanted, self.fd)
            self.poller.watched[self.fd] = self
        self.watched = wanted
        if failed:
            tell_of_unwatched(-failed)
            self.end()
        return 0

    cdef int unwatch(self) except -1:
        """Watch it no more. Before its close: a child of the app may hold it open."""
        if self.watched:
            self.watched = 0
            watch_end(self.poller.epoll_fd, self.fd)
            self.poller.watched.pop(self.fd, None)
        return 0

    cdef int fail(self, int error) except -1:
        """The kernel says that the connection is gone."""
        self.error = OSError(error, os.strerror(error))
        return self.end()

    cdef int fail_with(self, error) except -1:
        """Something went wrong here: say so, and end the connection."""
        self.poller.loop.call_exception_handler({
            "message": "exception in the protocol of a connection", "exception": error, "protocol": self.protocol,
        })
        self.error = error
        return self.end()

    cdef int end(self) except -1:
        if self.ended:
            return 0
        self.unwatch()
        self.ended = self.closing = True
        self.reading = False
        self.pending = None
        self.pending_bytes = 0
        return self.poller.add_ended(self)

    cdef int tell_end(self) except -1:
        """Tell the protocol that the connection is gone, and close the descriptor."""
        protocol, self.protocol = self.protocol, None
        try:
            if protocol is not None:
                protocol.connection_lost(self.error)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.poller.loop.call_exception_handler({"message": "exception in connection_lost()", "exception": error})
        finally:
            self.handed.abandon()
        return 0


cdef Py_ssize_t send_pieces(int fd, pieces, Py_ssize_t skipped) except? -1:
    """Send the first of `pieces` without their first `skipped` bytes; return how many bytes were taken, or -errno."""
    cdef iovec[PIECES] parts
    cdef msghdr message
    cdef int count = 0
    cdef ssize_t sent
    memset(&message, 0, sizeof(message))
    for piece in pieces:
        if count == PIECES:
            break
        parts[count].iov_base = PyBytes_AS_STRING(<bytes>piece) + skipped
        parts[count].iov_len = PyBytes_GET_SIZE(<bytes>piece) - skipped
        skipped = 0
        count += 1
    message.msg_iov = parts
    message.msg_iovlen = count
    sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
    if sent >= 0:
        return sent
    return 0 if errno == EAGAIN or errno == EINTR else -errno
