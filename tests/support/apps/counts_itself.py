"""An ASGI app that counts by prometheus-client: /add counts a request, everything else answers its pid."""

import os
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

ADDED = Counter("shop_orders", "Orders that were taken.", ["kind"])
SECONDS = Histogram("shop_order_seconds", "How long an order took.", buckets=[0.1, 1.0])
OPEN = Gauge("shop_open_carts", "Carts that are open.", multiprocess_mode="livesum")
EACH = Gauge("shop_alive", "1 for each process that lives.", multiprocess_mode="liveall")
LARGEST = Gauge("shop_largest_order", "The largest order yet.", multiprocess_mode="max")


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    if scope["path"] == "/add":
        ADDED.labels('a"b').inc()
        SECONDS.observe(0.5)
        OPEN.set(3)
        EACH.set(1)
        LARGEST.set(os.getpid())
    body = str(os.getpid()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
