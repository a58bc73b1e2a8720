"""What a Node app counts itself, by the real prom-client, is joined into its metrics by message."""

from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.support.fastlb_process import Fastlb
from tests.support.node_driver import copy_apps, start_node
from tests.support.node_packages import NotInstallableError, node_modules

PROM_CLIENT = (("prom-client", "15.1.3"),)


@pytest.fixture(scope="session")
def counting_apps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The apps, with prom-client beside them."""
    try:
        return copy_apps(tmp_path_factory.mktemp("counting"), node_modules(PROM_CLIENT))
    except NotInstallableError as error:
        pytest.skip(f"prom-client cannot be installed: {error}")


def scrape(fastlb: Fastlb) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(fastlb.ok("metrics").stdout)
    samples = [sample for family in families for sample in family.samples]
    return {(one.name, *(value for _, value in sorted(one.labels.items()))): one.value for one in samples}


def test_what_prom_client_counts_is_there_for_each_worker(fastlb: Fastlb, counting_apps: Path) -> None:
    app = start_node(fastlb, counting_apps / "counts_itself.js", "--metrics-app")

    seen: set[bytes] = set()
    requests = 0
    while len(seen) < 2:
        seen.add(app.get().body)
        requests += 1
        assert requests < 100
    samples = scrape(fastlb)
    assert sum(samples["cart_added_total", "app", "shoe", str(worker)] for worker in (0, 1)) == requests
    assert sum(samples["cart_seconds_count", "app", str(worker)] for worker in (0, 1)) == requests
    assert sum(samples["cart_seconds_bucket", "app", "1", str(worker)] for worker in (0, 1)) == requests
    assert samples["cart_open", "app", "0"] == samples["cart_open", "app", "1"] == 2


def test_app_without_prom_client_has_nothing_of_its_own(fastlb: Fastlb) -> None:
    start_node(fastlb, "http.js", "--metrics-app", workers=1)
    assert {key[0].partition("_")[0] for key in scrape(fastlb)} == {"fastlb"}
