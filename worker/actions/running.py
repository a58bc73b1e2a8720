"""Owns how one action is run in a worker, and what becomes of its result.

Runs in workers: an action in a thread of its own, the app's coroutines on the loop that serves it. Whatever an action
raises is its answer.
"""

import asyncio
import inspect
import os
import time
import traceback
from _thread import allocate_lock, get_ident, start_new_thread  # now, before an app can replace them
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any

import msgspec

from ..nearest_word import nearest_word
from .builtin import BUILTIN, BuiltinCall
from .registry import Action, actions_of_this_process
from .wire import ActionAnswer, ActionRequest, bounded_names, bounded_text

MOST_AT_A_TIME = 4


class ActionFailed(Exception):
    """It could not be done; the message is the answer."""


class ActionRunner:
    """Runs actions, at most MOST_AT_A_TIME. `answer` is called with each answer, from any thread."""

    def __init__(self, answer: Callable[[ActionAnswer], None]) -> None:
        self._answer = answer
        self._lock = allocate_lock()
        self._running = 0
        self._our_threads: set[int] = set()

    def hide_this_thread(self) -> None:
        """Show this thread in no stacks and no profile."""
        self._our_threads.add(get_ident())

    def start(self, request: ActionRequest, file_fd: int | None) -> None:
        """Run it in a thread, and answer. Owns `file_fd`. Never waits."""
        with self._lock:
            is_too_much = self._running >= MOST_AT_A_TIME
            self._running += not is_too_much
        if is_too_much:
            close(file_fd)
            text = f"{MOST_AT_A_TIME} actions run in this worker already: try again when one has ended"
            self._answer(ActionAnswer(number=request.number, ok=False, text=text))
            return
        try:
            start_new_thread(self._run, (request, file_fd))
        except RuntimeError as error:  # as many as this user or control group may have
            self._give_up(request, file_fd, f"the worker could not begin it: {error}")

    def _give_up(self, request: ActionRequest, file_fd: int | None, reason: str) -> None:
        close(file_fd)
        with self._lock:
            self._running -= 1
        self._answer(ActionAnswer(number=request.number, ok=False, text=reason))

    def _run(self, request: ActionRequest, file_fd: int | None) -> None:
        self.hide_this_thread()
        try:
            answer = self._answer_to(request, file_fd)
        finally:
            close(file_fd)
            self._our_threads.discard(get_ident())
            with self._lock:
                self._running -= 1
        self._answer(answer)

    def _answer_to(self, request: ActionRequest, file_fd: int | None) -> ActionAnswer:
        known = {**BUILTIN, **actions_of_this_process.functions}
        if request.name not in known:
            return unknown(request, list(known))
        try:
            text = text_of(self._result_of(request, file_fd))
        except ActionFailed as failure:
            return ActionAnswer(number=request.number, ok=False, text=bounded_text(str(failure)))
        except BaseException as error:  # noqa: BLE001 - whatever the app's code raises
            return ActionAnswer(number=request.number, ok=False, text=bounded_text(traceback_of(error)))
        return ActionAnswer(number=request.number, ok=True, text=bounded_text(text))

    def _result_of(self, request: ActionRequest, file_fd: int | None) -> object:
        function = actions_of_this_process.functions.get(request.name)
        if function is not None:
            return call(function, request)
        try:
            return BUILTIN[request.name](BuiltinCall(request.param, file_fd, self._our_threads))
        except ValueError as error:
            raise ActionFailed(f"{request.name}: {error}") from None


def unknown(request: ActionRequest, known: list[str]) -> ActionAnswer:
    """Return the answer to a request for an action that there is not, or for none: which there are."""
    names = bounded_names(known)
    meant = nearest_word(request.name, names) if request.name else None
    text = f"there is no action {request.name!r}" if request.name else f"actions: {', '.join(names)}"
    if request.name:
        text += f"; did you mean {meant}?" if meant else f"; there are: {', '.join(names)}"
    return ActionAnswer(
        number=request.number, ok=not request.name, text=text, known=names, is_unknown=bool(request.name)
    )


def call(function: Action, request: ActionRequest) -> object:
    """Return what the app's function returns; a coroutine is run on the loop that serves the app.

    Raises:
        ActionFailed: the parameter does not fit, or the loop is blocked. And whatever the function raises.
    """
    arguments = () if request.param is None else (request.param,)
    check_parameter(function, arguments, request.name)
    result = function(*arguments)
    return on_loop(result, request) if inspect.iscoroutine(result) else result


def check_parameter(function: Action, arguments: tuple[str, ...], name: str) -> None:
    """Raise ActionFailed when the function does not take these arguments."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        wants = "takes no parameter" if arguments else "needs a parameter"
        raise ActionFailed(f"{name} {wants}") from None
    except ValueError:
        pass  # a function of C that does not say what it takes


def on_loop(coroutine: Coroutine[Any, Any, object], request: ActionRequest) -> object:
    """Return what the coroutine returns, run on the loop that serves the app.

    Raises:
        ActionFailed: that runs not yet, or is blocked, or it takes too long; the coroutine is cancelled then.
    """
    loop = actions_of_this_process.loop
    if loop is None:
        coroutine.close()
        raise ActionFailed("this worker does not serve yet, and the action needs its event loop")
    begun = allocate_lock()
    begun.acquire()

    async def run() -> object:
        begun.release()
        return await coroutine

    future = asyncio.run_coroutine_threadsafe(run(), loop)
    try:
        if not begun.acquire(timeout=max(request.begin_by - time.monotonic(), 0.0)):
            raise ActionFailed(
                "the event loop of this worker is blocked, and nothing was done: the action `stacks` shows where it"
                " stands"
            )
        return future.result(request.timeout)
    except (TimeoutError, CancelledError) as error:
        if future.done() and not future.cancelled():
            raise  # the action's own
        raise ActionFailed(f"it was given up after {request.timeout:g} s") from error
    finally:
        if not future.done():
            future.cancel()
            loop.call_soon_threadsafe(close_unbegun, coroutine)


def close_unbegun(coroutine: Coroutine[Any, Any, object]) -> None:
    """Close a coroutine that has not begun, and would complain; one that has is being cancelled, and may clean up."""
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()


def text_of(result: object) -> str:
    """Return what an action returned as text: text as it is, all else as JSON."""
    if result is None:
        return "done"
    if isinstance(result, str):
        return result
    if isinstance(result, bytes | bytearray):
        return result.decode(errors="backslashreplace")
    return msgspec.json.format(msgspec.json.encode(result, enc_hook=repr), indent=2).decode()


def traceback_of(error: BaseException) -> str:
    """Return the traceback of what an action raised, without our own frames at its beginning."""
    report = traceback.TracebackException.from_exception(error)
    frames = list(report.stack)
    while frames and frames[0].filename == __file__:
        frames.pop(0)
    report.stack = traceback.StackSummary.from_list(frames)
    return "".join(report.format()).rstrip("\n")


def close(fd: int | None) -> None:
    """Close a descriptor, if it is one."""
    if fd is not None:
        os.close(fd)
