"""Trial 23: no request fails while the fastlb that runs an app is replaced by another version, and back."""

import itertools
from collections.abc import Iterator

from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan, Report
from tests.support.load_process import LoadProcess
from tests.support.two_versions import Installations

from .finding import Finding, Scale
from .reloads import judge

VERSIONS = ("0.0.1", "0.0.2")
UPDATES = 10
REQUESTS = 50_000


def run(scale: Scale) -> Iterator[Finding]:
    """Update again and again, up and down."""
    for keep_alive in (False, True):
        yield update_under_load(scale, keep_alive)


def update_under_load(scale: Scale, keep_alive: bool) -> Finding:
    """No request fails, and each version has run the app."""
    updates, requests = scale.of(UPDATES, least=2), scale.of(REQUESTS)
    with Fastlb() as fastlb:
        installations = Installations(fastlb.directory)
        for version in VERSIONS:
            installations.add(version)
        installations.install(VERSIONS[0])
        fastlb.env |= installations.env
        app = fastlb.start("asgi_probe:app", "--workers", "2")
        plan = Plan(address=app.address, path="/plain", keep_alive=keep_alive)
        report = update_repeatedly(app, installations, plan, updates, requests)
    kind = "keep-alive" if keep_alive else "new connections"
    return judge(f"{updates} updates under load ({kind}), >= {requests} requests: 0 failed", report, requests)


def update_repeatedly(app: App, installations: Installations, plan: Plan, updates: int, requests: int) -> Report:
    """Update in a row, spread over the requests of a load."""
    versions = itertools.cycle((VERSIONS[1], VERSIONS[0]))
    with LoadProcess(plan) as load:
        for number, version in zip(range(1, updates + 1), versions, strict=False):
            installations.install(version)
            app.ok("update")
            assert app.entry()["version"] == version
            load.wait_for(max(requests * number // updates - load.completed, 1), timeout=120)
    return load.report
