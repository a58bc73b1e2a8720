from fastlb.worker.access_log.lines import AnsweredRequest
from fastlb.worker.wsgi.exchange import Exchange

class AnsweredExchange(AnsweredRequest):
    def __init__(self, exchange: Exchange) -> None: ...
