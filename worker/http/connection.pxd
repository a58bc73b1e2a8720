# Owns what an adapter sees of a connection and of what all connections share. Runs in Python workers.

from libc.stdint cimport int64_t, uint64_t

from fastlb.worker.http.client_rate cimport Taking
from fastlb.worker.http.request_reader cimport RequestReader
from fastlb.worker.http.response cimport ServerLines
from fastlb.worker.transport.socket_transport cimport SocketTransport


cdef class HttpService:
    cdef readonly object loop
    cdef object watch             # TimeoutWheel's
    cdef object forget
    cdef readonly object connections  # a set of those that are open
    cdef public double keep_alive_timeout  # seconds, as all times here
    cdef public double stall_timeout
    cdef readonly size_t head_limit
    cdef readonly uint64_t body_limit
    cdef readonly double minimum_rate  # bytes a second; 0: none
    cdef readonly bint secure
    cdef public bint draining     # every response says that its connection ends
    cdef readonly ServerLines lines


cdef class HttpConnection(RequestReader):
    cdef HttpService service
    cdef readonly object transport  # None: before the connection was made, and after it was lost
    cdef SocketTransport plain    # the same, if it is one of our own
    cdef bint unsettled           # its first bytes are being worked off: its deadline is not watched yet
    cdef object handed            # HandedSocket
    cdef bytes unread             # what came behind the request that is answered; reading is paused
    cdef bint answering           # a request has no complete response
    cdef bint answered            # one had
    cdef bint in_response         # the end of a response is what makes us read: its app runs
    cdef bint read_paused
    cdef bint writing_paused
    cdef object sending_file       # what sends a file past the transport
    cdef bint half_closed         # the client sends no more
    cdef bint lingering           # nothing is read any more but to throw it away
    cdef bint is_shut             # it takes no more requests
    cdef bint closing
    cdef bint aborted             # ... by a reset
    cdef double body_since        # the client has been waited for since then, for body_seen; 0: it is not
    cdef uint64_t body_seen       # bytes of the body that had come then
    cdef int64_t given_bytes      # of responses that were given to transport or kernel
    cdef Taking taking            # of these, what the client takes while it holds us back
    cdef public double deadline   # as TimeoutWheel wants them
    cdef public long watched_tick

    cdef int read(self, bytes data) except -1
    cdef int write(self, bytes data) except -1
    cdef int write_both(self, bytes head, data) except -1
    cdef object begin_file(self, bytes head, file)
    cdef int end_file(self) except -1
    cdef int pause(self) except -1
    cdef int resume(self) except -1
    cdef int await_body(self) except -1
    cdef int hold_back(self) except -1
    cdef int go_on(self) except -1
    cdef int end_response(self, bint keep_alive) except -1
    cdef int send_refusal(self, int code) except -1
    cdef int close_now(self) except -1
    cdef int abort(self) except -1
    cdef object leave(self)

    # inside
    cdef int end_refused(self) except -1
    cdef int end(self) except -1
    cdef int await_end(self) except -1
    cdef int linger_on(self) except -1
    cdef int look_for_progress(self) except -1
    cdef bint sends_body_slowly(self) except -1
    cdef bint takes_slowly(self) except -1
    cdef int64_t taken(self) except? -1
    cdef int look_for_client(self) except -1
    cdef int await_app(self) except -1
    cdef int arm(self, double timeout) except -1

    # for subclasses
    cdef int refuse_current(self, int code) except -1
    cdef int on_fed(self) except -1
    cdef int on_lost(self) except -1
    cdef int on_half_closed(self) except -1
    cdef int on_writable(self) except -1
    cdef int take_over(self) except -1
