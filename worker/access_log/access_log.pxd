# Owns the declarations of the access log of a worker. Runs in workers; a server that is compiled records without a call
# into Python.

from cpython.pythread cimport PyThread_type_lock
from libc.stdint cimport int64_t

from fastlb.worker.access_log.line_buffer cimport LineBuffer
from fastlb.worker.access_log.lines cimport AnsweredRequest, LineMaker


cdef class AccessLog:
    cdef readonly bint needs_end   # a line tells what is known at the end of a response only
    cdef LineMaker maker
    cdef LineBuffer buffer         # lines that are not written yet
    cdef object route
    cdef bytes mark
    cdef int fd
    cdef int64_t lost              # lines that found no room
    cdef int64_t no_patience_until_ns
    cdef bint is_awaited           # they are written without being asked for again
    cdef object written_by         # the loop that tells when the reader takes more; None: none does
    cdef PyThread_type_lock lock   # held while lines are added or written

    cpdef record(self, AnsweredRequest request)
    cpdef record_in_thread(self, AnsweredRequest request, loop)
    cdef bint add_request(self, AnsweredRequest request)
    cdef bint has_room(self)
    cdef bint make_room(self)
    cdef void have_written(self)
    cdef void hold(self) noexcept
    cdef void let_go(self) noexcept
    cdef bint write_now(self) except -1
    cdef int write_turn(self) except -1
    cdef int write_loss(self) except -1
    cdef void wait_for_reader(self)
