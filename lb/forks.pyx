"""Owns the count of forks on the way to this process: what acts for a worker must not do so in its children.

Runs in workers, after every fork(2) of the app, also of its C libraries (pthread_atfork(3)). vfork and posix_spawn run
no line of Python in the child.
"""

from libc.stdint cimport uint64_t

from fastlb.lb.errors cimport check
from fastlb.lb.posix cimport pthread_atfork

cdef uint64_t count = 0


cdef void note_child() noexcept nogil:
    global count
    count += 1


cdef uint64_t forks() noexcept nogil:
    return count


check(-pthread_atfork(NULL, NULL, note_child), "watch for forks")
