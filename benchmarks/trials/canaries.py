"""Trial 25: a canary that is worse is rolled back under load, only its own requests are hurt; a good one goes on."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.fastlb_process import Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess

from .finding import Finding, Scale

WORKERS = 4
ROLLED_BACK = 4
# One machine's noise is no slowdown: here errors are what is tried.
LENIENT = ("--max-slowdown", "100")


def run(scale: Scale) -> Iterator[Finding]:
    """Try worse code, then good code."""
    with Fastlb() as fastlb, tempfile.TemporaryDirectory(prefix="fastlb-") as directory:
        release = Path(directory) / "release"
        release.write_text("asgi_probe")
        fastlb.env["FASTLB_TEST_RELEASE"] = str(release)
        fastlb.allow_in_logs("Traceback")
        fastlb.start("release:app", "--workers", str(WORKERS))
        release.write_text("fails")
        yield worse(fastlb)
        release.write_text("asgi_probe")
        yield good(fastlb, scale.of(30, least=3))


def worse(fastlb: Fastlb) -> Finding:
    """Every request of the new code fails."""
    app = fastlb.app()
    before = app.worker_pids
    with LoadProcess(Plan(address=app.address)) as load:
        load.wait_for(200)
        found = fastlb.cli("canary", "app", "--for", "60s", *LENIENT)
        load.wait_for(200)
    lines = fastlb.ok("events", "app", "--lines", "1000", "--json").stdout.splitlines()
    told = [event for event in map(json.loads, lines) if event["event"] == "canary_rolled_back"][-1]
    report = load.report
    is_own = report.failed == report.bad_status and told["others_errors"] == 0
    is_kept = app.worker_pids == before and found.returncode == ROLLED_BACK
    measured = (
        f"exit code {found.returncode} after {told['canary_errors']} errors of its own and"
        f" {told['others_errors']} of the others; load: {report.summary()}"
    )
    return Finding("a canary that fails is rolled back, only its own requests fail", measured, is_own and is_kept)


def good(fastlb: Fastlb, seconds: int) -> Finding:
    """The new code does as well as the old."""
    app = fastlb.app()
    before = set(app.worker_pids)
    with LoadProcess(Plan(address=app.address)) as load:
        found = fastlb.cli("canary", "app", "--for", f"{seconds}s", "--min-requests", "50", *LENIENT, timeout=120)
        load.wait_for(200)
    app.wait_online(WORKERS)
    is_out = found.returncode == 0 and not before & set(app.worker_pids)
    measured = f"exit code {found.returncode}, {load.report.summary()}"
    return Finding(f"a good canary goes on after {seconds} s: 0 failed", measured, is_out and load.report.failed == 0)
