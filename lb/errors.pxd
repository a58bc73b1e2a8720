# Owns the declaration of `check`, by which the -errno of the C layer becomes an OSError (errors.pyx).

cdef int check(int result, str what) except -1
