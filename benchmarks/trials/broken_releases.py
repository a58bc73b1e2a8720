"""Trial 4: a reload to a release that does not work changes nothing."""

from collections.abc import Iterator

from tests.support.fastlb_process import Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess

from .finding import Finding, Scale

RELEASES = {
    "dies_at_import": ("raises at import", 'raise RuntimeError("this app cannot be imported")'),
    "never_ready": ("never becomes ready", ""),
    "dies_after_ready": ("dies 100 ms after ready", ""),
}


def run(scale: Scale) -> Iterator[Finding]:
    """Try each kind of broken release under load."""
    for module in RELEASES:
        yield reload_to(module)


def reload_to(module: str) -> Finding:
    """Reload a good app to a broken one."""
    what, words = RELEASES[module]
    with Fastlb() as fastlb:
        fastlb.allow_in_logs("Traceback", "Fatal Python error")
        release = fastlb.directory / "release"
        release.write_text("asgi_probe")
        fastlb.env["FASTLB_TEST_RELEASE"] = str(release)
        app = fastlb.start("release:app", "--workers", "2", "--listen-timeout", "3")
        before = app.worker_pids
        with LoadProcess(Plan(address=app.address)) as load:
            release.write_text(module)
            result = fastlb.cli("reload", "app")
            load.wait_for(500)
        untouched = app.worker_pids == before
    output = result.stdout + result.stderr
    shown = words in output and output.count("Traceback (most recent call last)") == bool(words)
    ok = result.returncode != 0 and untouched and shown and load.report.failed == 0
    measured = (
        f"exit code {result.returncode}, old workers {'go on' if untouched else 'were touched'}, "
        f"{load.report.failed} of {load.report.requests} failed"
        + (f", traceback shown {'once' if shown else 'not once'}" if words else "")
    )
    return Finding(f"reload to code that {what}: nothing changes", measured, ok)
