"""Owns a real browser: Chromium of the system, driven by WebDriver. Runs in the test process.

It has a profile of its own, shows nothing on a screen, and reaches no network but this machine's.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from .waiting import scaled

SWITCHES = (
    "--headless=new",
    "--no-sandbox",  # its own does not work for root, nor in a container
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1280,1180",
)


@contextmanager
def browser(profile: Path) -> Iterator[Chrome]:
    """Hold a browser; the test is skipped where there is none. `profile`: a directory for what it keeps."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("there is no chromium with its chromedriver (Debian: chromium, chromium-driver)")
    options = ChromeOptions()
    options.binary_location = chromium
    for switch in (*SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=ChromeService(chromedriver))
    try:
        driver.set_page_load_timeout(scaled(30))
        driver.set_script_timeout(scaled(30))
        yield driver
    finally:
        driver.quit()
