"""The pipe of a worker that is held is not read, whenever it was that it had to be."""

import asyncio
import os

from fastlb.supervisor.output.pipes import BUSY_BYTES, PipeReader

from tests.support.waiting import scaled


def test_pipe_that_is_held_while_its_lines_are_taken_is_left_alone_until_it_is_released() -> None:
    async def hold_within_a_tick() -> None:
        read_fd, write_fd = os.pipe()
        taken: list[bytes] = []
        held, released = asyncio.Event(), asyncio.Event()

        def take(lines: bytes) -> None:
            taken.append(lines)
            if len(taken) == 1:
                os.write(write_fd, b"soon\n")  # so soon that the pipe is left alone for a tick
            elif len(taken) == 2:
                os.write(write_fd, b"x" * BUSY_BYTES + b"\n")
            elif len(taken) == 3:
                reader.hold()
                held.set()
            else:
                released.set()

        reader = PipeReader(read_fd, take)
        os.write(write_fd, b"first\n")
        async with asyncio.timeout(scaled(10)):
            await held.wait()
            assert not asyncio.get_running_loop().remove_reader(read_fd), "it is still read"
            os.write(write_fd, b"last\n")
            reader.release()
            await released.wait()
            os.close(write_fd)
            await reader.closed
        assert taken[3] == b"last\n"

    asyncio.run(hold_within_a_tick())
