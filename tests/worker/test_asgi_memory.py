"""Nothing of a request or connection that is over is kept, and nothing of it waits for the garbage collector."""

import json
from pathlib import Path

from tests.support.http_exchange import exchange
from tests.support.raw_http import RawClient, get, request
from tests.support.waiting import wait_until
from tests.support.worker_process import serving_worker

CONNECTIONS = 100
APP = """
import collections, gc, json

gc.disable()  # what is freed now is freed by itself
OURS = ("AsgiConnection", "Exchange", "Task", "coroutine", "HandedSocket")

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    while scope["method"] == "POST" and (await receive()).get("more_body"):
        pass
    if scope["path"] == "/error":
        raise ValueError("an error")
    found = gc.get_objects() if scope["path"] == "/count" else ()
    counted = collections.Counter(type(one).__name__ for one in found)
    body = json.dumps({name: counted.get(name, 0) for name in OURS}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body[:9], "more_body": True})
    if scope["path"] == "/gone":
        while (await receive())["type"] != "http.disconnect":
            pass
    await send({"type": "http.response.body", "body": body[9:]})
"""


def test_nothing_is_left_of_what_is_over(tmp_path: Path) -> None:
    with serving_worker(tmp_path, APP, http="fastlb", log_level="critical") as worker:

        def counted() -> dict[str, int]:
            with worker.connect() as client:
                return json.loads(exchange(client, "/count").body)  # type: ignore[no-any-return]

        before = counted()
        for sent in (
            get("/") * 3,
            request("POST", "/", body=b"x" * 1000),
            get("/error"),
            b"GARBAGE\r\n\r\n",
            get("/")[:-5],
            get("/gone"),
        ):
            for _ in range(CONNECTIONS // 5):
                with RawClient(worker.connect()) as client:
                    client.send(sent)
        wait_until(lambda: worker.counters()["closed"] == worker.position, "all connections are closed")
        wait_until(lambda: worker.counters()["busy"] == 0, "all requests are over")
        assert counted() == before
        assert before["AsgiConnection"] == 1
