# Owns what the connections of an ASGI worker share, and what they see of an exchange. Runs in ASGI workers.

from libc.stdint cimport int64_t, uint8_t

from fastlb.lb.page cimport WorkerStatus
from fastlb.worker.access_log.access_log cimport AccessLog
from fastlb.worker.http.connection cimport HttpConnection, HttpService
from fastlb.worker.http.response cimport Response


cdef class AsgiService(HttpService):
    cdef readonly object config   # uvicorn's
    cdef readonly object server_state  # uvicorn's
    cdef readonly dict app_state  # of the lifespan
    cdef object app
    cdef public object go_on      # gives a connection and a protocol to the event loop
    cdef WorkerStatus status
    cdef object create_task
    cdef object create_future
    cdef object task_factory      # returns the loop's; None: an app's first step is never run at once
    cdef AccessLog access_log     # None: there is none, or a line tells what is known at the end (LoggedApp)
    cdef dict exchanges           # that run, oldest first
    cdef readonly object websocket_tasks
    cdef str root_path
    cdef bytes raw_root_path
    cdef str asgi_version
    cdef Py_ssize_t limit_concurrency  # 0: none
    cdef readonly bint takes_websockets


cdef class Exchange(Response):
    cdef AsgiService service
    cdef HttpConnection connection  # None: the client has gone, or has its response
    cdef object app
    cdef dict scope
    cdef bytes target             # as the client sent it
    cdef object coroutine         # the app's; None before its first step
    cdef object task
    cdef int64_t began_ns
    cdef bint started             # the app has sent http.response.start
    cdef bint complete            # the response is
    cdef bint disconnected        # the client has gone
    cdef bint told_gone           # ... or sends no more, and the app knows
    cdef bint trailers            # the app will send http.response.trailers
    cdef object sending           # what a message that takes longer is to be awaited by
    cdef bint half_closed         # the client sends no more
    cdef bint request_complete
    cdef bint end_given           # the app has got the last part of the body
    cdef list pieces              # of the body, that the app has not got
    cdef Py_ssize_t held_bytes
    cdef list readers             # futures of receive()
    cdef list writers             # of send()

    cdef int run(self, bint at_once) except -1
    cdef int add_body(self, bytes piece) except -1
    cdef int end_body(self) except -1
    cdef int disconnect(self) except -1
    cdef int wake_readers(self) except -1
    cdef int wake_writers(self) except -1
    # inside
    cdef object step(self, value)
    cdef bint has_end(self)
    cdef int ask_for_body(self) except -1
    cdef dict next_message(self)
    cdef int take(self, message) except -1
    cdef int take_late(self, message) except -1
    cdef int put_body(self, bytes body, bint is_last) except -1
    cdef bytes make_head(self, const uint8_t *text, Py_ssize_t copied, Py_ssize_t length, bint is_last)
    cdef int put_large_chunk(self, bytes body, bint is_last) except -1
    cdef int put_head(self, const uint8_t *text, Py_ssize_t copied, Py_ssize_t length, bint is_last) except -1
    cdef int flush_head(self) except -1
    cdef int finish(self) except -1
    cdef int log_access(self) except -1
    cdef int end(self, result) except -1
    cdef int fail(self, error) except -1
    cdef int answer_failure(self) except -1
    cdef int break_off(self) except -1
    cdef int leave(self, bint failed) except -1
    # for a subclass
    cdef int take_other(self, kind, message) except -1
    cdef int put_last_part(self, bytes body) except -1
