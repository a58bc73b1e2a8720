from fastlb.worker.access_log.lines import AnsweredRequest
from fastlb.worker.wsgi.exchange import WsgiExchange

class AnsweredExchange(AnsweredRequest):
    def __init__(self, exchange: WsgiExchange) -> None: ...
