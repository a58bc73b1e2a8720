"""Owns the text that shows where a process stands: its threads, and the asyncio tasks of the loop that serves the app.

Runs in workers, in the thread of an action, while all others go on: what they do meanwhile may be shown half.
"""

import asyncio
import sys
import threading
import traceback
from collections.abc import Collection
from types import CodeType, FrameType
from typing import Any

from .registry import actions_of_this_process

MOST_TASKS = 1000
DEEPEST_TASK = 200


def all_stacks(hidden_threads: Collection[int]) -> str:
    """Return the stacks of all threads but some, then those of all tasks, the innermost call last."""
    parts = [*thread_stacks(hidden_threads), *task_stacks()]
    return "\n".join(parts).rstrip("\n")


def thread_stacks(hidden_threads: Collection[int]) -> list[str]:
    """Return a text for each thread, the main one first."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    main = threading.main_thread().ident
    frames = sorted(sys._current_frames().items(), key=lambda item: item[0] != main)
    return [
        f"thread {names.get(ident, 'without a name')} ({ident}):\n" + "".join(traceback.format_stack(frame))
        for ident, frame in frames
        if ident not in hidden_threads
    ]


def task_stacks() -> list[str]:
    """Return a text for each task of the loop that serves the app; none before it serves."""
    loop = actions_of_this_process.loop
    if loop is None:
        return []
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    texts = [task_stack(task) for task in tasks[:MOST_TASKS]]
    more = len(tasks) - len(texts)
    return texts + ([f"and {more} more tasks"] if more else [])


def task_stack(task: "asyncio.Task[Any]") -> str:
    """Return where a task stands: in its coroutine, and in what that awaits."""
    stack = awaited(task.get_coro())
    places = [f"  File {code.co_filename!r}, line {line}, in {code.co_name}\n" for code, line in stack]
    return f"task {task.get_name()}:\n" + ("".join(places) or "  it runs, or has just ended\n")


def awaited(coroutine: Any) -> list[tuple[CodeType, int]]:
    """Return the code and the line of a coroutine, and of each that it awaits, the innermost last."""
    places: list[tuple[CodeType, int]] = []
    while coroutine is not None and len(places) < DEEPEST_TASK:
        frame: FrameType | None = attribute_of(coroutine, "frame")
        if frame is None:
            break
        places.append((frame.f_code, frame.f_lineno))
        coroutine = attribute_of(coroutine, "await") or attribute_of(coroutine, "yieldfrom")
    return places


def attribute_of(coroutine: Any, name: str) -> Any:
    """Return what a coroutine, generator or asynchronous generator has under a name with its own prefix."""
    found = (getattr(coroutine, f"{prefix}_{name}", None) for prefix in ("cr", "gi", "ag"))
    return next(filter(None, found), None)
