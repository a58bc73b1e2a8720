"""How long requests took, as `show` says it of each worker."""

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import wait_until


def test_show_says_how_long_requests_took(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    assert app.show()["workers"][0]["p99_ms"] is None
    app.get("/sleep?0.1")
    wait_until(lambda: app.show()["workers"][0]["p99_ms"], "the request has ended")
    worker = app.show()["workers"][0]
    assert worker["p50_ms"] >= 100 / 2, "known to a factor of two"
    text = fastlb.ok("show", "app").stdout
    row = dict(zip(*(line.split() for line in text.splitlines() if "p99" in line or " online " in line), strict=True))
    assert row["p99"].endswith("s")
