"""Trials 4 and 16: a reload to a release that does not work changes nothing."""

from collections.abc import Iterator

import msgspec

from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.node_driver import start_node

from .apps import Start
from .finding import Finding, Scale


class Release(msgspec.Struct, frozen=True):
    """A release that does not work.

    Attributes:
        name: what the file names that switches the app.
        words: what the command has to show.
        once: what it has to show exactly once; empty: nothing is.
    """

    name: str
    what: str
    words: str = ""
    once: str = ""


PYTHON_RELEASES = (
    Release(
        "dies_at_import", "raises at import", 'raise RuntimeError("this app cannot be imported")', "Traceback (most"
    ),
    Release("never_ready", "never becomes ready"),
    Release("dies_after_ready", "dies 100 ms after ready"),
)
NODE_RELEASES = (
    Release(
        "dies_at_load", "throws when it is loaded", "this app cannot be loaded", "Error: this app cannot be loaded"
    ),
    Release("never_listens", "never listens"),
    Release("dies_after_listening", "dies 50 ms after it listens"),
)


def run(scale: Scale) -> Iterator[Finding]:
    """Try each kind of broken release of a Python app under load."""
    for release in PYTHON_RELEASES:
        yield reload_to(release, start_release_py, "asgi_probe")


def run_node(scale: Scale) -> Iterator[Finding]:
    """The same for a Node app."""
    for release in NODE_RELEASES:
        yield reload_to(release, start_release_js, "http")


def start_release_py(fastlb: Fastlb, *options: str) -> App:
    """Start the Python app that is switched by a file."""
    return fastlb.start("release:app", "--workers", "2", *options)


def start_release_js(fastlb: Fastlb, *options: str) -> App:
    """Start the Node app that is switched by a file."""
    return start_node(fastlb, "release.js", *options)


def reload_to(release: Release, start: Start, good: str) -> Finding:
    """Reload a good app to a broken one."""
    with Fastlb() as fastlb:
        fastlb.allow_in_logs("Traceback", "Fatal Python error")
        file = fastlb.directory / "release"
        file.write_text(good)
        fastlb.env["FASTLB_TEST_RELEASE"] = str(file)
        app = start(fastlb, "--listen-timeout", "3")
        before = app.worker_pids
        with LoadProcess(Plan(address=app.address)) as load:
            file.write_text(release.name)
            result = fastlb.cli("reload", "app")
            load.wait_for(500)
        untouched = app.worker_pids == before
    output = result.stdout + result.stderr
    shown = release.words in output and (not release.once or output.count(release.once) == 1)
    ok = result.returncode != 0 and untouched and shown and load.report.failed == 0
    measured = (
        f"exit code {result.returncode}, old workers {'go on' if untouched else 'were touched'}, "
        f"{load.report.failed} of {load.report.requests} failed"
        + (f", error shown {'once' if shown else 'not once'}" if release.once else "")
    )
    return Finding(f"reload to code that {release.what}: nothing changes", measured, ok)
