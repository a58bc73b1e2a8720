from fastlb.lb.inbox import HandedSocket

from ..http.connection import HttpConnection
from ..local_addresses import LocalAddress
from .exchange import AsgiService

class AsgiConnection(HttpConnection):
    def __init__(self, service: AsgiService, handed: HandedSocket, server: LocalAddress | None) -> None: ...

class UpgradedConnection: ...
class LostWebSocket: ...
