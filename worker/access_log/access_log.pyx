"""Owns the access log of a worker: lines gather while its loop turns, and are written once a turn.

Runs in workers, in the event loop's thread and in those that run a WSGI app, which write their line at once: the loop
may wait long for its turn then. It must not wait for whoever reads standard output: a pipe takes a piece of
PIPE_BUF bytes without waiting when poll(2) says that it takes anything. What it does not take is kept, up to
MOST_BYTES. A reader that is slow is waited for then, one that takes nothing for PATIENCE_MS is not, nor for a while
after: lines are counted, and a mark stands where they are missing. `close` waits for CLOSE_MS. A process that is killed
(SIGKILL) loses the lines of the turn in which that happens.
"""

import asyncio
import atexit
import logging
import os

from cpython.pythread cimport (
    NOWAIT_LOCK, WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock,
)
from libc.stdint cimport int64_t

from fastlb.lb.posix cimport EAGAIN, EINTR, errno, monotonic_ns, poll, pollfd, write
from fastlb.worker.access_log.line_buffer cimport LineBuffer
from fastlb.worker.access_log.lines cimport AnsweredRequest, LineMaker

from .mark import ACCESS_MARK

cdef extern from "<limits.h>" nogil:
    int PIPE_BUF

cdef extern from "<poll.h>" nogil:
    short POLLOUT

cdef extern from "<string.h>" nogil:
    void *memrchr(const void *text, int character, size_t length)

cdef enum:
    MOST_BYTES = 1048576     # of lines that wait: 10,000, or so
    ROOM_BYTES = 65536       # are written before lines are taken again
    PATIENCE_MS = 250        # as the supervisor has with a disk
    CLOSE_MS = 2000
    NO_PATIENCE_NS = 10000000000

RETRY_SECONDS = 0.05
LOST = "{} lines were lost here: the supervisor did not read them"
logger = logging.getLogger("fastlb.worker")


cdef size_t piece_bytes(const char *text, size_t length) noexcept nogil:
    """Return how much of `text` to write at once: whole lines, if one is short enough."""
    cdef char *last
    if length <= <size_t>PIPE_BUF:
        return length
    last = <char *>memrchr(text, c'\n', PIPE_BUF)
    return last - text + 1 if last != NULL else <size_t>PIPE_BUF


cdef int write_pieces(int fd, const char *text, size_t length, size_t *done, int patience_ms) noexcept nogil:
    """Write as much as is taken at once, or within `patience_ms` since something was; 0 or -errno. `done`: bytes."""
    cdef pollfd polled
    cdef ssize_t written
    cdef int found
    polled.fd = fd
    polled.events = POLLOUT
    done[0] = 0
    while done[0] < length:
        found = poll(&polled, 1, patience_ms)
        if found == 0 or (found < 0 and errno == EINTR and patience_ms == 0):
            return 0
        if found < 0 and errno != EINTR:
            return -errno
        if found < 0:
            continue
        written = write(fd, text + done[0], piece_bytes(text + done[0], length - done[0]))
        if written >= 0:
            done[0] += <size_t>written
        elif errno == EAGAIN:
            return 0
        elif errno != EINTR:
            return -errno
    return 0


cdef class AccessLog:
    """The access log of this process.

    Args:
        text: the format, as in `--access-log-format`; "": client, request line and status.
        route: says whether a line may be written here (`is_direct()`), and logs it if not (`log(request, maker)`).
        is_marked: whether each line is marked as one of the access log.
        fd: where lines are written; borrowed.

    Attributes:
        needs_end: a line is to be recorded when the response has ended, and not when it begins.
    """

    def __cinit__(self, str text not None, route, bint is_marked=False, int fd=1):
        self.maker = LineMaker(text)
        self.needs_end = bool(text)
        self.buffer = LineBuffer()
        self.route = route
        self.mark = ACCESS_MARK.encode() if is_marked else b""
        self.fd = fd
        self.lock = PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    def keep_to_process(self):
        """Write what is left at the end of this process, and nothing of it in a forked child."""
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self.forget_in_child)

    @property
    def waiting_bytes(self):
        """How much is not written yet."""
        return self.buffer.length

    cpdef record(self, AnsweredRequest request):
        """Take the line of a request that was answered, or whose response begins. The loop's thread. Raises nothing."""
        if self.add_request(request):
            self.have_written()

    cpdef record_in_thread(self, AnsweredRequest request, loop):
        """Take and write the line of a request that was answered. A thread beside that of `loop`. Raises nothing.

        Handlers of the app may take long: these are left to the loop, and clients do not wait for them.
        """
        try:
            if self.buffer.length == 0 and not self.route.is_direct():
                loop.call_soon_threadsafe(self.record, request)
            elif self.add_request(request) and self.write_now() and not self.is_awaited:
                self.is_awaited = True
                loop.call_soon_threadsafe(self.on_turn)
        except RuntimeError:
            pass  # the loop is closed: what waits is written at the end of the process
        except Exception:
            logger.exception("a line of the access log could not be written")

    cdef bint add_request(self, AnsweredRequest request):
        """Add a line, or have it logged; say whether it was added."""
        cdef size_t start = 0
        cdef bint is_added = False
        try:
            if self.buffer.length == 0 and not self.route.is_direct():
                self.route.log(request, self.maker)
                return False
        except Exception:
            logger.exception("a line of the access log could not be made")
            return False
        failure = None
        self.hold()
        try:
            is_added = self.has_room()
            start = self.buffer.length  # to make room some may have been written
            if is_added:
                self.buffer.add_bytes(self.mark)
                self.maker.add_line(self.buffer, request)
                self.buffer.add("\n", 1)
        except Exception as error:
            is_added = False
            self.buffer.length = start
            failure = error
        finally:
            self.let_go()
        if failure is not None:  # what logs may be slow, and wait for another thread
            logger.error("a line of the access log could not be made", exc_info=failure)
        return is_added

    def info(self, str text, str client, str method, str target, str version, int status):
        """Take uvicorn's own line, in the place of a logger: client, request line and status. Raises nothing.

        The loop's thread, of workers that have no other one that records.
        """
        cdef LineBuffer buffer = self.buffer
        cdef size_t start = buffer.length
        try:
            if start == 0 and not self.route.is_direct():
                self.route.pass_on(text, client, method, target, version, status)
            elif self.has_room():
                start = buffer.length
                buffer.add_bytes(self.mark)
                buffer.add_escaped(client, 0, len(client))
                buffer.add(' - "', 4)
                buffer.add_escaped(method, 0, len(method))
                buffer.add(" ", 1)
                buffer.add_escaped(target, 0, len(target))
                buffer.add(" HTTP/", 6)
                buffer.add_escaped(version, 0, len(version))
                buffer.add('" ', 2)
                buffer.add_number(status)
                buffer.add("\n", 1)
                self.have_written()
        except Exception:
            self.buffer.length = start
            logger.exception("a line of the access log could not be made")

    def close(self):
        """Write what waits, and wait for whoever reads it, if need be. Later lines go nowhere."""
        cdef size_t done = 0
        cdef LineBuffer buffer = self.buffer
        cdef int fd = self.fd
        if fd < 0:
            return
        self.hold()
        try:
            self.write_loss()
            self.fd = -1  # nobody adds while it is written
            with nogil:
                write_pieces(fd, buffer.data, buffer.length, &done, CLOSE_MS)
            self.forget()
        finally:
            self.let_go()

    def forget(self):
        """Write nothing any more."""
        self.fd = -1
        self.lost = 0
        self.buffer.remove_first(self.buffer.length)

    def forget_in_child(self):
        """Write nothing in a forked child, in which nobody lets go of what another thread has held."""
        self.lock = PyThread_allocate_lock() or self.lock
        self.forget()

    def on_turn(self):
        """Write the lines of this turn (the loop calls it)."""
        cdef bint is_left = self.write_now()
        self.is_awaited = False  # no other thread runs between these lines
        if is_left:
            self.wait_for_reader()

    def on_writable(self):
        """Go on: something was taken (the loop calls it)."""
        if not self.write_now() and self.written_by is not None:
            self.is_awaited = False
            loop, self.written_by = self.written_by, None
            loop.remove_writer(self.fd)

    cdef bint has_room(self):
        """Say whether a line may be added; one that may not is counted, as are all until what waits is written."""
        if self.fd < 0:
            return False
        if self.lost or (self.buffer.length >= MOST_BYTES and not self.make_room()):
            self.lost += 1
            return False
        return True

    cdef bint make_room(self):
        """Wait for a reader that is slow; say whether it takes anything."""
        cdef size_t done = 0
        cdef int fd = self.fd
        cdef LineBuffer buffer = self.buffer
        if monotonic_ns() < self.no_patience_until_ns:
            return False
        with nogil:
            write_pieces(fd, buffer.data, ROOM_BYTES, &done, PATIENCE_MS)
        if done == 0:
            self.no_patience_until_ns = monotonic_ns() + NO_PATIENCE_NS
        buffer.remove_first(done)
        return done > 0

    cdef void have_written(self):
        """Have what was added written when the loop has turned."""
        if not self.is_awaited:
            try:
                asyncio.get_running_loop().call_soon(self.on_turn)
                self.is_awaited = True
            except RuntimeError:
                self.write_now()  # no loop runs (any more)

    cdef void hold(self) noexcept:
        """Keep other threads from the lines, which may give up the GIL while they are made or written."""
        if not PyThread_acquire_lock(self.lock, NOWAIT_LOCK):
            with nogil:
                PyThread_acquire_lock(self.lock, WAIT_LOCK)

    cdef void let_go(self) noexcept:
        PyThread_release_lock(self.lock)

    cdef bint write_now(self) except -1:
        """Write what is taken without waiting; say whether anything is left. Any thread."""
        self.hold()
        try:
            self.write_turn()
            return self.buffer.length > 0
        finally:
            self.let_go()

    cdef int write_turn(self) except -1:
        """Write what is taken without waiting. Where nobody reads any more all goes nowhere, as whatever is printed."""
        cdef size_t done = 0
        cdef int failed
        if self.fd < 0:
            return 0
        failed = write_pieces(self.fd, self.buffer.data, self.buffer.length, &done, 0)
        self.buffer.remove_first(self.buffer.length if failed else done)
        if self.lost and self.buffer.length == 0:
            self.write_loss()
            self.write_turn()
        return 0

    cdef int write_loss(self) except -1:
        """Add the line that says how many are missing, if any is."""
        cdef int64_t lost = self.lost
        if lost:
            text = LOST.format(lost)
            line = f'{{"lost_lines":{lost},"message":"{text}"}}' if self.maker.is_json else f"[fastlb] {text}"
            self.buffer.add_bytes(self.mark + line.encode() + b"\n")
            self.lost = 0
        return 0

    cdef void wait_for_reader(self):
        """Go on when something was taken."""
        loop = asyncio.get_running_loop()
        self.is_awaited = True
        try:
            loop.add_writer(self.fd, self.on_writable)
            self.written_by = loop
        except (OSError, RuntimeError, ValueError):
            # The app has put something else in the place of standard output that cannot be waited for.
            loop.call_later(RETRY_SECONDS, self.on_turn)
