# Owns the question whether this process is a child that the app has forked. Runs in workers.

from libc.stdint cimport uint64_t


# How often fork(2) has returned in a child on the way to this process. What was made at another count belongs to a
# process before this one. No system call, unlike getpid(2), which libraries have stopped to remember.
cdef uint64_t forks() noexcept nogil
