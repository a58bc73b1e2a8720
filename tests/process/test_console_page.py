"""The page of `fastlb console` in a real Chromium: what a person sees, clicks, and is kept from."""

from typing import Any

from selenium.webdriver import Chrome

from tests.support.browser import browser
from tests.support.console import ConsoleProcess
from tests.support.fastlb_process import App, Fastlb
from tests.support.waiting import wait_until

HOSTILE = "<img/src=x/onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
TEXT_OF = """
    const found = document.querySelector(arguments[0]);
    return found && found.checkVisibility() ? found.textContent : "";
"""
CLICK = "document.querySelector(arguments[0]).click()"


class Page:
    """What is seen in a browser."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver

    def text(self, selector: str) -> str:
        """Return what an element says; empty: it is not seen, or says nothing."""
        return str(self._driver.execute_script(TEXT_OF, selector))

    def value(self, script: str) -> Any:
        """Return what a script returns."""
        return self._driver.execute_script(f"return {script}")

    def click(self, selector: str) -> None:
        """Click an element, which must be there."""
        self._driver.execute_script(CLICK, selector)

    def faults(self) -> list[str]:
        """Return what the browser calls an error; that there was no session at first is none."""
        said = self._driver.get_log("browser")  # type: ignore[no-untyped-call]
        errors = [entry["message"] for entry in said if entry["level"] == "SEVERE"]
        return [line for line in errors if "401 (Unauthorized)" not in line]


def test_person_sees_figures_move_and_reloads_by_a_click(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", name="shop")
    with ConsoleProcess(fastlb, "--allow-actions") as console, browser(fastlb.directory / "profile") as driver:
        page = Page(driver)
        assert console.ask("/").status == 401
        driver.get(console.url)
        wait_until(lambda: "Token" in page.text("form"), "without the link the token is asked for", 20)
        assert page.text("#apps") == ""

        driver.get("about:blank")
        driver.get(console.link)
        wait_until(lambda: "shop" in page.text("#apps tbody"), "the app is shown", 20)
        assert console.token not in driver.current_url

        def rate() -> str:
            app.get("/plain")
            return page.text("#apps tbody td:nth-child(4)")

        wait_until(lambda: float(rate().replace("\N{EN DASH}", "") or 0), "figures move under load", 30)

        app.get(f"/print?{HOSTILE}")
        wait_until(lambda: HOSTILE in page.text("#log"), "a line of the log is shown as it was written", 20)
        assert page.value("document.querySelectorAll('#log img, #log script').length") == 0

        reload_by_click(app, page)
        wait_until(lambda: "reloaded" in page.text("#outcome"), "it is said that the app was reloaded", 60)
        assert max(worker["generation"] for worker in app.entry()["workers"]) >= 2, "a click may be counted twice"
        wait_until(lambda: "reload" in page.text("#events"), "what was done is among the events", 20)
        assert "owned" not in driver.title
        assert page.faults() == [], "the page asks for nothing that its policy forbids"
        asked = page.value("performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert asked
        assert [name for name in asked if not name.startswith(console.url)] == []


def reload_by_click(app: App, page: Page) -> None:
    """Click on reload, once without and once with going through with it."""
    for answer in ("no", "yes"):
        page.click('[data-action="reload"]')
        assert "Reload shop?" in page.text("#confirm")
        assert page.value("document.activeElement.value") == "no", "Enter alone does nothing"
        page.click(f'#confirm [value="{answer}"]')
        assert page.text("#confirm") == ""
        if answer == "no":
            assert (page.text("#outcome"), app.entry()["operations"]) == ("", [])
