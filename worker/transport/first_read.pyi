import asyncio

from fastlb.lb.inbox import HandedSocket

def receive_and_begin(loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, data: bytes) -> None: ...

class Beginning(asyncio.Protocol):
    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol) -> None: ...

class FirstRead(Beginning):
    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, handed: HandedSocket
    ) -> None: ...
