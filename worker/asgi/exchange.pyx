"""Owns one request's run through an ASGI app: its task, what the app receives and sends, and how it fails.

Runs in ASGI workers, on the event loop's thread. An exchange is the coroutine of its own task: it steps the app's, and
when that waits, it sends a head that was held back for its body. Messages and errors are those that uvicorn's users
know. Never touches a socket: the connection does.
"""

import asyncio
import logging
import sys

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.stdint cimport uint8_t

from fastlb.lb.page cimport WorkerStatus
from fastlb.lb.posix cimport monotonic_ns
from fastlb.worker.access_log.access_log cimport AccessLog
from fastlb.worker.access_log.lines cimport AnsweredRequest
from fastlb.worker.http.connection cimport HttpConnection, HttpService
from fastlb.worker.http.response cimport Response, ServerLines

cdef extern from "Python.h":
    int PyIter_Send(object iterator, object value, PyObject **result) except? -1
    enum:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT

cdef enum:
    # From here on copying a body costs more than a vector of two buffers.
    LARGE_BODY_BYTES = 16384
    # Of a body that the app has not got; above it the client is not read.
    HELD_BYTES = 65536

cdef object logger = logging.getLogger("uvicorn.error")
cdef bytes CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
cdef bytes FAILURE = b"Internal Server Error"
cdef list FAILURE_HEADERS = [(b"content-type", b"text/plain; charset=utf-8")]


cdef class Done:
    """What send() returns when there is nothing to wait for: a coroutine that has ended. One for all."""

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration

    def send(self, value):
        """End."""
        raise StopIteration

    def throw(self, kind, value=None, traceback=None):
        """Raise what is thrown: there is nothing that could catch it."""
        if isinstance(kind, BaseException):
            raise kind
        raise kind() if value is None else value

    def close(self):
        """Do nothing."""


cdef Done DONE = Done()


cdef class AsgiService(HttpService):
    """What the connections of an ASGI worker share.

    Args:
        loop, wheel, worker, lines: as in HttpService.
        server: uvicorn's server, whose config is loaded and whose lifespan has started.
        status: the worker's page.
        websocket_tasks: those of open websockets.
        access_log: takes a line of each request when its response begins; None: nothing is to be told then.
    """

    def __init__(
        self, loop, wheel, worker, ServerLines lines, server, WorkerStatus status not None, websocket_tasks,
        AccessLog access_log
    ):
        config = server.config
        HttpService.__init__(self, loop, wheel, server.server_state.connections, worker, lines)
        self.config = config
        self.server_state = server.server_state
        self.app_state = server.lifespan.state
        self.app = config.loaded_app
        self.status = status
        self.create_task = loop.create_task
        self.create_future = loop.create_future
        self.task_factory = loop.get_task_factory if sys.version_info >= (3, 12) else None
        self.exchanges = {}
        self.websocket_tasks = websocket_tasks
        self.root_path = config.root_path
        self.raw_root_path = config.root_path.encode("ascii")
        self.asgi_version = config.asgi_version
        self.limit_concurrency = config.limit_concurrency or 0
        self.takes_websockets = config.ws_protocol_class is not None
        self.access_log = access_log

    def oldest_began_ns(self):
        """Return when the oldest running request began (CLOCK_MONOTONIC), 0 when none runs."""
        for exchange in self.exchanges:
            return (<Exchange>exchange).began_ns
        return 0

    def __len__(self):
        return len(self.exchanges) + len(self.websocket_tasks)

    def __iter__(self):
        return iter([(<Exchange>exchange).task for exchange in self.exchanges] + list(self.websocket_tasks))


cdef class Exchange(Response):
    """One request and its response.

    Besides what Response has: `scope` and `app` are set by the connection, then run() starts the task.
    """

    cdef int run(self, bint at_once) except -1:
        """Begin, as a task of its own; `at_once`: the app's first step may run now, where Python can do that."""
        service = self.service
        self.began_ns = monotonic_ns()
        service.exchanges[self] = None
        service.status.record_request_begun()
        service.status.record_busy(1)
        if not at_once or service.task_factory is None or service.task_factory() is not None:
            self.task = service.create_task(self)
            return 0
        task = asyncio.Task(self, loop=service.loop, eager_start=True)
        if self.app is not None:  # else it is over
            self.task = task
        return 0

    # the coroutine of the task

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        waits_for = self.step(None)
        if waits_for is DONE:
            raise StopIteration
        return waits_for

    def send(self, value):
        """Step the app, as a coroutine's send()."""
        waits_for = self.step(value)
        if waits_for is DONE:
            raise StopIteration
        return waits_for

    def throw(self, kind, value=None, traceback=None):
        """Throw an exception into the app, as a coroutine's throw(): a cancellation, above all."""
        try:
            if self.coroutine is None:
                raise kind if value is None else value
            waits_for = self.coroutine.throw(kind if value is None else value)
        except StopIteration as stop:
            self.end(stop.value)
            raise StopIteration
        except BaseException as error:
            self.fail(error)
            raise StopIteration
        self.flush_head()
        return waits_for

    def close(self):
        """End the app's coroutine, as a coroutine's close()."""
        if self.coroutine is not None:
            self.coroutine.close()

    @property
    def cr_frame(self):
        """The frame of the app's coroutine, for the stack of the task."""
        return getattr(self.coroutine, "cr_frame", None)

    cdef object step(self, value):
        """Run the app to where it waits; return what for, or DONE."""
        cdef PyObject *result = NULL
        cdef int outcome
        try:
            if self.coroutine is None:
                self.coroutine = coroutine_of(self.app(self.scope, self.receive, self.respond))
            outcome = PyIter_Send(self.coroutine, value, &result)
        except BaseException as error:
            self.fail(error)
            return DONE
        waits_for = <object>result
        release(result)
        if outcome == PYGEN_NEXT:
            self.flush_head()
            return waits_for
        self.end(waits_for)
        return DONE

    # what the app is given

    async def receive(self):
        """Return the next message: a part of the body, or that the client has gone. ASGI's receive()."""
        while not (self.disconnected or self.complete or self.held_bytes or self.has_end()):
            self.ask_for_body()
            reader = self.service.create_future()
            if self.readers is None:
                self.readers = []
            self.readers.append(reader)
            try:
                await reader
            finally:
                self.readers.remove(reader)
        return self.next_message()

    def respond(self, message):
        """Send a message of the app. ASGI's send(): what it returns is to be awaited."""
        if self.connection is None:
            if self.complete and not self.disconnected:
                self.take_late(message)
            return DONE
        if self.connection.writing_paused:
            return self.respond_later(message)
        self.take(message)
        if self.sending is None:
            return DONE
        sending, self.sending = self.sending, None
        return sending

    cdef int take_late(self, message) except -1:
        """Drop trailers that the client does not want; anything else comes too late."""
        kind = message["type"]
        if not self.trailers or kind != "http.response.trailers":
            raise RuntimeError(f"Unexpected ASGI message '{kind}' sent, after response already completed.")
        self.trailers = bool(message.get("more_trailers", False))
        return 0

    async def respond_later(self, message):
        while self.connection is not None and self.connection.writing_paused:
            await self.await_writable()
        await self.respond(message)

    async def await_writable(self):
        """Wait until the client takes more, or is gone."""
        writer = self.service.create_future()
        if self.writers is None:
            self.writers = []
        self.writers.append(writer)
        try:
            await writer
        finally:
            self.writers.remove(writer)

    # the request

    cdef int add_body(self, bytes piece) except -1:
        """Keep a part of the body for the app; above a bound the client is not read."""
        if self.connection is None:
            return 0
        if self.pieces is None:
            self.pieces = []
        self.pieces.append(piece)
        self.held_bytes += len(piece)
        if self.held_bytes > HELD_BYTES:
            self.connection.pause()
        return self.wake_readers()

    cdef int end_body(self) except -1:
        """Note that the request is complete."""
        self.request_complete = True
        return self.wake_readers()

    cdef int disconnect(self) except -1:
        """Note that the client has gone: nothing is sent any more, and the app is told if it asks."""
        self.disconnected = True
        self.connection = None
        self.wake_readers()
        return self.wake_writers()

    cdef int wake_readers(self) except -1:
        return wake(self.readers) if self.readers else 0

    cdef int wake_writers(self) except -1:
        return wake(self.writers) if self.writers else 0

    cdef bint has_end(self):
        """Whether the last part of the body is due, or after it the news that nothing more comes."""
        return self.request_complete and (not self.end_given or self.half_closed)

    cdef int ask_for_body(self) except -1:
        """Let the client send more of its body."""
        connection = self.connection
        if connection is None or self.request_complete:
            return 0
        if connection.wants_continue and not self.begun:
            connection.wants_continue = False
            connection.write(CONTINUE)
        connection.resume()
        return connection.await_body()

    cdef dict next_message(self):
        cdef bytes body
        cdef list pieces = self.pieces
        if self.disconnected or self.complete or (self.end_given and self.half_closed):
            self.told_gone = not self.complete
            return {"type": "http.disconnect"}
        if pieces is None:
            body = b""
        else:
            body = <bytes>pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self.pieces = None
            self.held_bytes = 0
        self.end_given = self.request_complete
        return {"type": "http.request", "body": body, "more_body": not self.request_complete}

    # the response

    cdef int take(self, message) except -1:
        """Send a message of the app, whose connection takes it. Raises what the app has done wrong."""
        kind = message["type"]
        if not self.started:
            if kind != "http.response.start":
                return self.take_other(kind, message)
            self.start(message["status"], message.get("headers", ()))
            self.trailers = bool(message.get("trailers", False))
            self.started = True
            return 0
        if kind != "http.response.body":
            return self.take_other(kind, message)
        body = message.get("body", b"")
        if type(body) is not bytes:
            body = bytes(memoryview(body))
        if message.get("more_body", False):
            return self.put_body(<bytes>body, False)
        return self.put_last_part(<bytes>body) if self.trailers else self.put_body(<bytes>body, True)

    cdef int put_body(self, bytes body, bint is_last) except -1:
        cdef Py_ssize_t length = PyBytes_GET_SIZE(body)
        cdef const uint8_t *text = <const uint8_t *>PyBytes_AS_STRING(body)
        cdef bint is_large = length >= LARGE_BODY_BYTES
        cdef HttpConnection connection = self.connection
        if not self.begun:
            self.put_head(text, 0 if is_large else length, length, is_last)
            is_sent = not is_large
        else:
            self.check_part(length, is_last)
            is_sent = False
        if not is_sent and not self.bodiless:
            if not self.chunked:
                if length:
                    connection.write(body)
            elif is_large:
                self.put_large_chunk(body, is_last)
            elif length or is_last:
                connection.write(self.next_part(text, length, is_last))
        if is_last:
            self.finish()
        return 0

    cdef int put_large_chunk(self, bytes body, bint is_last) except -1:
        cdef HttpConnection connection = self.connection
        connection.write_both(b"%x\r\n" % len(body), body)
        return connection.write(b"\r\n0\r\n\r\n" if is_last else b"\r\n")

    cdef int put_head(self, const uint8_t *text, Py_ssize_t copied, Py_ssize_t length, bint is_last) except -1:
        """Send the head, and with it `copied` bytes of the body: all `length` of its first part, or none."""
        return self.connection.write(self.make_head(text, copied, length, is_last))

    cdef bytes make_head(self, const uint8_t *text, Py_ssize_t copied, Py_ssize_t length, bint is_last):
        cdef HttpConnection connection = self.connection
        if self.service.draining or not connection.keep_alive or connection.wants_continue:
            # The last: a client that has not been told to send its body may send it yet, or not.
            self.keep_alive = False
        head = self.begin(self.service.lines, text, copied, length, is_last)
        connection.wants_continue = False
        if self.service.access_log is not None:
            self.log_access()
        return head

    cdef int flush_head(self) except -1:
        """Send a head that was held back for its body: the app waits for something else."""
        if self.started and not self.begun and self.connection is not None:
            self.put_head(NULL, 0, 0, False)
        return 0

    cdef int finish(self) except -1:
        """The response is complete: the connection goes on without this."""
        cdef HttpConnection connection = self.connection
        self.complete = True
        self.connection = None
        self.pieces = None
        self.wake_readers()
        return connection.end_response(self.keep_alive)

    cdef int log_access(self) except -1:
        cdef AnsweredRequest line = AnsweredRequest()
        client = self.scope["client"]
        if client:
            line.client, line.client_port = client[0], client[1] or 0
        line.method = self.scope["method"]
        line.target = self.target
        line.protocol = "HTTP/1.0" if self.is_http10 else "HTTP/1.1"
        line.status = self.status
        self.service.access_log.record(line)
        return 0

    # the app's end

    cdef int end(self, result) except -1:
        """The app has returned."""
        if result is not None:
            logger.error("ASGI callable should return None, but returned '%s'.", result)
            self.break_off()
            return self.leave(True)
        if self.connection is None:
            return self.leave(False)
        if self.told_gone:
            self.break_off()
            return self.leave(False)
        if self.started:
            logger.error("ASGI callable returned without completing response.")
            self.break_off()
        else:
            logger.error("ASGI callable returned without starting response.")
            self.answer_failure()
        return self.leave(True)

    cdef int fail(self, error) except -1:
        """The app has raised, whatever it was."""
        logger.error("Exception in ASGI application\n", exc_info=error)
        if self.connection is not None:
            if self.begun:
                self.break_off()
            else:
                self.answer_failure()
        return self.leave(True)

    cdef int answer_failure(self) except -1:
        """Answer in the place of an app that has not answered; nothing of what it said is on its way."""
        self.reset()
        self.started = True
        self.keep_alive = False
        self.start(500, FAILURE_HEADERS)
        return self.put_body(FAILURE, True)

    cdef int break_off(self) except -1:
        """End the connection so that the client can tell that the response is not complete."""
        cdef HttpConnection connection = self.connection
        if connection is None:
            return 0
        self.disconnect()
        connection.answering = False
        return connection.abort() if self.until_close else connection.close_now()

    cdef int leave(self, bint failed) except -1:
        """Count the request as done, and let go of everything."""
        cdef AsgiService service = self.service
        service.exchanges.pop(self, None)
        service.status.record_request_done(monotonic_ns() - self.began_ns, failed)
        service.status.record_response(self.status)
        service.status.record_busy(-1)
        self.coroutine = self.app = self.scope = self.task = self.pieces = None
        return 0

    # for a subclass

    cdef int take_other(self, kind, message) except -1:
        """Take a message that is none of the core's, or comes at the wrong time."""
        expected = "http.response.body" if self.started else "http.response.start"
        raise RuntimeError(f"Expected ASGI message '{expected}', but got '{kind}'.")

    cdef int put_last_part(self, bytes body) except -1:
        """Send the last part of a body behind which the app will send trailers."""
        return self.put_body(body, True)


cdef object coroutine_of(awaitable):
    """Return what steps `awaitable`, which an app has returned."""
    if hasattr(awaitable, "send"):
        return awaitable
    return type(awaitable).__await__(awaitable)


cdef int wake(list waiting) except -1:
    """Let every future of `waiting` be done."""
    for future in waiting:
        if not future.done():
            future.set_result(None)
    return 0


cdef inline void release(PyObject *owned) noexcept:
    """Drop a reference that a function of Python has returned."""
    if owned != NULL:
        Py_DECREF(<object>owned)
