from fastlb.lb.inbox import HandedSocket

from ..http.connection import HttpConnection
from .exchange import WsgiService
from .request_environ import EnvironMaker

class WsgiConnection(HttpConnection):
    def serve_directly(self) -> None: ...
    def __init__(self, service: WsgiService, handed: HandedSocket, maker: EnvironMaker) -> None: ...
