"""The pictures in docs/console.md: the console in a real Chromium, with apps under load, one of them sick.

`python -m benchmarks.console_pictures [SECONDS]`: so long (300) there is load before. Needs chromium and chromedriver.
"""

import http.client
import itertools
import math
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome

from tests.support.browser import browser
from tests.support.console import ConsoleProcess
from tests.support.fastlb_process import App, Fastlb
from tests.support.waiting import wait_until

DOCS = Path(__file__).resolve().parents[1] / "docs"
CLIENTS = {"shop": 9, "blog": 2, "mail": 3}
# So that no picture tells of the machine that it was made on.
WHOSE = """
    const where = document.getElementById("where"), other = where.cloneNode();
    other.id = "";
    other.textContent = "deploy@app-1 · ~/.fastlb";
    where.after(other);
    where.hidden = true;
"""
SHOP = """
import random, sys, time

def app(environ, start_response):
    number = random.random()
    time.sleep(0.12 if number < 0.02 else 0.002 * number)
    if number > 0.97:
        print(f"order {int(number * 1e6) % 10000} placed", flush=True)
    if number < 0.004:
        print("payment refused: card expired <b>4711</b>", file=sys.stderr, flush=True)
        start_response("502 Bad Gateway", [])
        return [b"no"]
    if environ["PATH_INFO"] == "/leave":
        import os
        os._exit(3)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def main(seconds: float) -> None:
    """Make all pictures."""
    with (
        tempfile.TemporaryDirectory() as profile,
        Fastlb() as fastlb,
        ConsoleProcess(fastlb, "--allow-actions") as console,
    ):
        apps = started(fastlb)
        with load(apps):
            time.sleep(seconds * 0.9)
            for _ in range(2):
                leave(apps["mail"])
            time.sleep(seconds * 0.1)
            with browser(Path(profile)) as driver:
                driver.get(console.link)
                wait_until(lambda: "shop" in driver.page_source, "the apps are shown", 30)
                driver.execute_script("location.hash = 'app=shop'")
                time.sleep(8)
                take_pictures(driver)


def started(fastlb: Fastlb) -> dict[str, App]:
    """Return the apps that are shown."""
    directory = fastlb.directory / "apps"
    directory.mkdir()
    (directory / "shop.py").write_text(SHOP)
    where = ("--app-dir", str(directory))
    fastlb.start("shop:app", "--workers", "1", *where, name="billing").ok("stop")
    return {
        "shop": fastlb.start("shop:app", "--workers", "4", *where, name="shop"),
        "blog": fastlb.start("shop:app", "--workers", "2", *where, name="blog"),
        "mail": fastlb.start(
            "shop:app", "--workers", "3", "--max-restarts", "1", "--min-uptime", "1h", *where, name="mail"
        ),
    }


@contextmanager
def load(apps: dict[str, App]) -> Iterator[None]:
    """Have clients ask, more and less in turn, on connections that stay open."""
    ended = threading.Event()

    def ask(app: App) -> None:
        while not ended.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)
            try:
                for _ in range(random.randrange(50, 400)):
                    connection.request("GET", "/")
                    connection.getresponse().read()
                    if ended.wait(random.uniform(0.05, 0.2) * (1.4 + math.sin(time.monotonic() / 40))):
                        break
            except OSError:
                continue
            finally:
                connection.close()

    threads = [threading.Thread(target=ask, args=(apps[name],)) for name in CLIENTS for _ in range(CLIENTS[name])]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def leave(app: App) -> None:
    """Have a worker of an app end by itself."""
    try:
        app.get("/leave")
    except OSError:
        return


def take_pictures(driver: Chrome) -> None:
    """Take one picture for each look."""
    driver.execute_script(WHOSE)
    still = {"name": "prefers-reduced-motion", "value": "reduce"}
    size = {"width": 1260, "height": 960, "deviceScaleFactor": 1, "mobile": False}
    phone = {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    for name, scheme, screen in (("light", "light", size), ("dark", "dark", size), ("phone", "light", phone)):
        media = {"features": [still, {"name": "prefers-color-scheme", "value": scheme}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        time.sleep(1)
        driver.save_screenshot(str(DOCS / f"console-{name}.png"))


if __name__ == "__main__":
    main(float(next(itertools.chain(sys.argv[1:], ["300"]))))
