# Owns what the connections of a WSGI worker share, and what they see of an exchange. Runs in WSGI workers.

from libc.stdint cimport int64_t, uint8_t

from fastlb.lb.page cimport WorkerStatus
from fastlb.worker.access_log.access_log cimport AccessLog
from fastlb.worker.http.connection cimport HttpService
from fastlb.worker.wsgi.response_head cimport WsgiResponse


cdef class WsgiService(HttpService):
    cdef object app
    cdef public object threads       # Crew
    cdef public object adopt         # gives a connection that other threads have served to the event loop
    cdef readonly object post        # LoopCalls': calls something with one argument in the event loop's thread
    cdef readonly object body_writer
    cdef WorkerStatus status
    cdef AccessLog access_log        # None: there is none
    cdef public object on_less       # called when there is a connection or a request less
    cdef public double impatient_until  # up to then no new connection is waited for: a slow one was seen
    cdef readonly Py_ssize_t unfinished  # requests that the app has not done with
    cdef bint sends_date
    cdef int64_t date_second

    cdef int tell_time(self) except -1


cdef class WsgiExchange(WsgiResponse):
    cdef WsgiService service
    cdef object connection           # WsgiConnection
    cdef readonly dict environ       # the app's, which may change it
    cdef object input                # where the body is: the app may put something else in its place
    cdef readonly int64_t began_ns
    cdef bytes output                # the whole response, or its head when `file` is the body; None: it went elsewhere
    cdef object outbox               # what was produced and not sent; None: nothing was streamed
    cdef object file                 # FileRange that is sent after `output`
    cdef bint app_done               # as the event loop knows it
    cdef bint failed                 # the app raised
    cdef bint broken                 # it has ended too early: its connection must not look as if it were whole
    cdef bint client_gone
    cdef bint complete               # the app has produced all
    cdef bint excess_reported

    cdef int run_app(self) except -1
    cdef int abandon(self) except -1
    cdef int free_response(self) except -1
    cdef str header(self, str name)
    # inside
    cdef int open_input(self) except -1
    cdef int call_app(self) except -1
    cdef int send_whole(self, chunks) except -1
    cdef int send_each(self, chunks) except -1
    cdef int send_file(self, wrapper) except -1
    cdef int send_part(self, data, bint is_whole) except -1
    cdef int stream(self, bytes data, bint is_whole) except -1
    cdef int put(self, bytes data) except -1
    cdef int require_head(self) except -1
    cdef Py_ssize_t clip(self, Py_ssize_t length) except -1
    cdef bytes start_body(self, const uint8_t *body, Py_ssize_t copied, Py_ssize_t length, bint is_last)
    cdef int finish(self) except -1
    cdef int finish_quietly(self) except -1
    cdef int on_error(self, error) except -1
    cdef int answer_failure(self, str status) except -1
    cdef str title(self)
