"""The page of a running service, during an outage and a shutdown."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.test_refresh import title
from tests.support.devservers import Postgres, Valkey
from tests.support.faults.servers import killed
from tests.support.service import Service, on, running


# SHUTDOWN_SECONDS: many more than a shutdown takes, on a busy machine too.
SHUTDOWN_SECONDS = 60


@pytest.fixture(name="service")
def _service(own_postgres: Postgres, own_valkey: Valkey, tmp_path: Path) -> Iterator[Service]:
    environ = {
        **on(own_postgres, own_valkey),
        # A killed server refuses at once. A timeout would only show that the machine is busy.
        "CHECK_TIMEOUT": "5",
        "SHUTDOWN_SECONDS": str(SHUTDOWN_SECONDS),
        "INSTANCE_NAME": "web-1",
    }
    with running(environ, tmp_path / "log") as service:
        service.until("postgres", None, within=5)
        service.until("redis", None, within=5)
        yield service


@pytest.fixture(name="open_page")
def _open_page(service: Service, open_page: Open) -> Open:
    """Close the pages before the service stops, or they would log errors."""
    del service
    return open_page


def test_the_page_shows_an_outage_without_a_reload(
    open_page: Open, service: Service, own_postgres: Postgres
) -> None:
    """It fails within 3 s of the outage, and recovers within 3 s of its end."""
    page = open_page(f"http://127.0.0.1:{service.port}/health")
    title(page, "Healthy")
    page.evaluate("window.same = true")
    with killed(own_postgres):
        expect(page).to_have_title("Failing · web-1 · Vitals", timeout=3000)
        expect(page.get_by_role("status")).to_contain_text("postgres fails")
        expect(page.locator("#check-postgres")).to_contain_text("Nothing listens at its address.")
        expect(page.locator("#check-redis strong")).to_have_text("passes")
    expect(page).to_have_title("Healthy · web-1 · Vitals", timeout=3000)
    expect(page.locator("#check-postgres .transitions li")).to_have_count(3)
    assert page.evaluate("window.same")


def test_an_open_page_does_not_delay_a_shutdown(open_page: Open, service: Service) -> None:
    """The process exits early, and the page shows that no answers come."""
    page = open_page(f"http://127.0.0.1:{service.port}/health", but="net::ERR_")
    with page.expect_response("**/health"):
        pass
    service.process.terminate()
    assert service.process.wait(SHUTDOWN_SECONDS / 4) == 0
    expect(page.get_by_role("alert")).to_be_visible()
