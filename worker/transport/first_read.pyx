"""Owns the beginning of a connection: its first bytes are read, and what they ask for has begun, before anything else.

Runs in Python workers, on the event loop's thread, once a connection. An event loop would read in its next turn and
begin what was read in the one after that, and whoever blocks the loop meanwhile strands all connections that are on
this way: the dispatcher cannot take them back any more. Knows nothing of HTTP.
"""

from contextvars import copy_context


cdef class _SoonCall:
    """What call_soon() was given, with what callers do with a handle."""

    cdef object callback
    cdef tuple arguments
    cdef object context

    def cancel(self):
        """Forget the call."""
        self.callback = None

    def cancelled(self):
        """Say whether the call was forgotten."""
        return self.callback is None

    cdef object run(self):
        if self.callback is not None:
            self.context.run(self.callback, *self.arguments)


cdef class _SoonCalls:
    """Stands in the place of the loop's call_soon() while first bytes are received: keeps what it is given."""

    cdef list calls

    def __cinit__(self):
        self.calls = []

    def __call__(self, callback, *arguments, context=None):
        cdef _SoonCall call = _SoonCall.__new__(_SoonCall)
        call.callback = callback
        call.arguments = arguments
        call.context = copy_context() if context is None else context
        self.calls.append(call)
        return call


def receive_and_begin(loop, protocol, data):
    """Give `protocol` its first bytes, and at once call what it would have had called soon: a task's first step.

    A task that is made here finds itself as the current one, as if the loop had called it.
    """
    cdef _SoonCalls soon = _SoonCalls.__new__(_SoonCalls)
    loop.call_soon = soon  # an attribute of this object, in front of its class's
    try:
        protocol.data_received(data)
    finally:
        del loop.call_soon
        for call in soon.calls:
            run_reporting(loop, <_SoonCall>call)


cdef int run_reporting(loop, _SoonCall call) except -1:
    try:
        call.run()
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        loop.call_exception_handler({"message": "exception in a callback", "exception": error})
    return 0


cdef class Beginning:
    """The protocol of a connection until its transport is there; then `protocol` is.

    An event loop only logs what connection_made() raises, and leaves the connection as it is: open, and read by nobody.
    """

    cdef object loop
    cdef object protocol

    def __init__(self, loop, protocol):
        self.loop = loop
        self.protocol = protocol

    def connection_made(self, transport):
        """Begin (the event loop calls it); end the connection if that fails."""
        transport.set_protocol(self.protocol)
        try:
            self.begin(transport)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            transport.abort()
            self.loop.call_exception_handler({
                "message": "a connection could not be begun", "exception": error, "protocol": self.protocol,
            })

    cdef int begin(self, transport) except -1:
        self.protocol.connection_made(transport)
        return 0


cdef class FirstRead(Beginning):
    """The same, and `protocol` has what the client has sent: at once, and what it asks for has begun.

    A client that has sent nothing yet costs a look, and is read when it sends.
    """

    cdef object handed

    def __init__(self, loop, protocol, handed):
        Beginning.__init__(self, loop, protocol)
        self.handed = handed

    cdef int begin(self, transport) except -1:
        Beginning.begin(self, transport)
        if transport.is_closing():
            return 0
        data = self.handed.first_bytes()
        if data:
            receive_and_begin(self.loop, self.protocol, data)
        return 0
