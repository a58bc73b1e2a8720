"""Owns PolicyTable: the dispatcher's choice of a worker, callable from Python.

Runs in tests and benchmarks, in no process of a running app: they call the very code that the dispatcher runs.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fastlb.lb.connection cimport ConnectionRecord
from fastlb.lb.page cimport MAX_SLOTS
from fastlb.lb.posix cimport AF_INET, AF_INET6, AF_UNIX

if sizeof(Candidate) != CANDIDATE_BYTES:
    raise ImportError(f"candidate: {sizeof(Candidate)} bytes, not {CANDIDATE_BYTES}")


cdef class PolicyTable:
    """A table of candidates as the dispatcher's loop has it: `room` and `open` of each worker.

    Args:
        hash_keys: one worker identity each, at most 1024.
        room: connections that each may be sent; open: connections that each has.
    Raises ValueError when the lists do not fit together.
    """

    cdef CandidateTable *table

    def __cinit__(self, list hash_keys, list room, list open_connections):
        if not len(hash_keys) == len(room) == len(open_connections) or len(room) > MAX_SLOTS:
            raise ValueError("hash_keys, room and open_connections must be of one length, at most 1024")
        self.table = <CandidateTable *>calloc(1, sizeof(CandidateTable))
        if self.table == NULL:
            raise MemoryError
        self.table.count = <uint32_t>len(room)
        for index in range(<uint32_t>len(room)):
            self.table.candidates[index].slot = index
            self.table.candidates[index].serves = ~<uint64_t>0
            self.table.candidates[index].hash_seed = hash_seed_of(hash_keys[index])
            self.table.candidates[index].room = room[index]
            self.table.candidates[index].open = open_connections[index]
            self.table.with_room += self.table.candidates[index].room > 0

    def __dealloc__(self):
        free(self.table)

    def choose(self, uint32_t policy, bytes address=b""):
        """Choose for one connection from `address` (4 or 16 bytes; empty: a unix socket's client) and charge it.

        Returns (index, whether it is another than the client's own worker); index -1 when no worker has room.
        """
        cdef ConnectionRecord record = record_of(address)
        cdef bint unsticky = False
        cdef int index = choose(self.table, policy, &record, &unsticky)
        if index != NOBODY:
            candidate_charge(self.table, index)
        return index, unsticky

    def choose_rescuer(self):
        """Choose for a connection that its worker did not take; nothing is charged."""
        return choose_rescuer(self.table, 1)

    def mark(self, uint32_t index, bint receiver=False, bint overdue=False, bint slow=False):
        """Set what the loop knows about a worker's progress."""
        if index >= self.table.count:
            raise IndexError(index)
        self.table.candidates[index].receiver = receiver
        self.table.candidates[index].overdue = overdue
        self.table.candidates[index].slow = slow

    def serve(self, uint32_t index, uint64_t listeners):
        """Set which listeners' connections a worker may get: bit i for listener i."""
        if index >= self.table.count:
            raise IndexError(index)
        self.table.candidates[index].serves = listeners

    def refresh(self, uint32_t index, uint32_t room, uint32_t open_connections, bint waiting_place):
        """Set what the loop finds anew in each turn; `waiting_place`: one may wait when no worker has room."""
        if index >= self.table.count:
            raise IndexError(index)
        cdef Candidate *candidate = &self.table.candidates[index]
        self.table.with_room += (room > 0) - (candidate.room > 0)
        candidate.room = room
        candidate.open = open_connections
        candidate.waiting_place = waiting_place

    def open_waiting_places(self):
        """Do what the loop does when no worker has room; nothing while one has."""
        if self.table.with_room == 0:
            open_waiting_places(self.table)

    def choose_many(self, uint32_t policy, uint32_t count):
        """Choose `count` times in C, for clients of different addresses; room stays as it is. For benchmarks.

        Returns the sum of the indexes, so that nothing can be optimised away.
        """
        cdef ConnectionRecord record = record_of(b"\x7f\0\0\1")
        cdef bint unsticky = False
        cdef uint64_t total = 0
        cdef int index
        with nogil:
            for number in range(count):
                memcpy(record.address, &number, 4)
                index = choose(self.table, policy, &record, &unsticky)
                self.table.cursor = <uint32_t>(index + 1)
                total += <uint64_t>(index + 1)
        return total


cdef ConnectionRecord record_of(bytes address):
    cdef ConnectionRecord record
    memset(&record, 0, sizeof(record))
    if len(address) not in (0, 4, 16):
        raise ValueError(f"address of {len(address)} bytes")
    record.family = {0: AF_UNIX, 4: AF_INET, 16: AF_INET6}[len(address)]
    memcpy(record.address, <const uint8_t *>address, len(address))
    return record
