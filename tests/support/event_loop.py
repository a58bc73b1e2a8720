"""Owns what the event loop keeps for the life of a process, so that it is no leak of the first test."""

import asyncio

import uvloop


def open_loop_globals() -> None:
    """Run a loop for nothing: libuv opens a pipe for signals with the first one and keeps it."""
    uvloop.run(asyncio.sleep(0))
