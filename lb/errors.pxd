# The one converter from -errno of the C layer to exceptions.

cdef int check(int result, str what) except -1
