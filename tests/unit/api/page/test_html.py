"""The HTML page, as clients get it over HTTP."""

import re
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.api.page import POLICY, CheckRow, check_rows
from app.api.verdict import PageContext
from app.auth import Access
from app.health import Reason, Report, Status
from tests.unit.api.scene import ApiClient, AppUnderTest, Details, observation, refuse


BROWSER = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Sec-Fetch-Mode": "navigate",
}
OPERATOR = {**BROWSER, "Authorization": "Bearer good", "User-Agent": "a browser"}


@pytest.mark.parametrize(
    ("status", "code", "title"), [(Status.PASS, 200, "Healthy"), (Status.FAIL, 503, "Failing")]
)
def test_a_browser_gets_the_page(
    api_client: ApiClient, status: Status, code: int, title: str
) -> None:
    """With the same code as in JSON, and a Content-Security-Policy."""
    api_client.observe(observation("redis", status))
    reply = api_client.get("/health", headers=BROWSER)
    assert reply.status_code == code
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-security-policy"] == POLICY
    assert reply.headers["cache-control"] == "no-store"
    assert f"<h1><small>host-1</small> {title}</h1>" in reply.text
    assert api_client.get("/health?format=html").text == reply.text
    assert "content-security-policy" not in api_client.get("/health").headers


@pytest.mark.parametrize("path", ["/health/live", "/health/started", "/health/checks/redis"])
def test_every_health_path_has_a_page(api_client: ApiClient, path: str) -> None:
    """The page of a failing check has advice, too."""
    api_client.observe(observation("redis", Status.FAIL, Reason.TLS))
    text = api_client.get(path, headers=BROWSER).text
    assert "<h1>" in text
    assert ("CA file that is mounted" in text) == path.endswith("redis")


def test_only_an_operator_sees_clients_and_settings(api_client: ApiClient) -> None:
    """The token decides, and with `never` no one sees them."""
    api_client.get("/health", headers=BROWSER)
    text = [api_client.get("/health", headers=OPERATOR).text for _ in range(2)][1]
    assert "Effective settings" in text
    assert "a browser" in text
    assert "Effective settings" not in api_client.get("/health", headers=BROWSER).text
    api_client.set_details("never")
    assert "Effective settings" not in api_client.get("/health", headers=OPERATOR).text


@pytest.mark.parametrize(
    ("details", "authorization", "words"),
    [
        ("always", "", "A token of an operator shows more."),
        ("always", "Basic good", "A token of an operator shows more."),
        ("always", "Bearer old", "Your token has expired, so this page shows less."),
        ("always", "Bearer good", None),
        ("authorized", "", "A token of an operator shows more."),
        ("authorized", "Bearer old", "Your token has expired, so this page shows less."),
        ("authorized", "Bearer good", None),
        ("never", "", None),
        ("never", "Bearer old", None),
        ("never", "Bearer good", None),
    ],
)
def test_the_page_says_that_a_token_is_missing_or_refused(
    api_client: ApiClient, details: Details, authorization: str, words: str | None
) -> None:
    """Unless a valid one would show no more."""
    api_client.set_details(details)
    text = api_client.get("/health", headers={**BROWSER, "Authorization": authorization}).text
    assert "oken" not in text if words is None else words in text


@pytest.mark.parametrize("prefix", ["", "/mounted"])
@pytest.mark.parametrize("path", ["/health", "/healthz/", "/health/ready", "/health/checks/redis/"])
def test_the_links_of_the_page_lead_to_answers(
    api_client: ApiClient, path: str, prefix: str
) -> None:
    """From each path, and if another application mounts this one."""
    outer = FastAPI()
    outer.mount("/mounted", api_client.app)
    client = TestClient(outer) if prefix else api_client
    text = client.get(prefix + path, headers=BROWSER).text
    links = re.findall('<a href="([^"]*)">', text)
    assert len(links) == 4
    for link in links:
        assert client.get(urljoin(prefix + path, link)).status_code == 200


def test_every_client_can_be_an_operator() -> None:
    """As with `vitals dev`. `HEALTH_DETAILS` still applies, so that developers can try it out."""
    access = Access("authorized", refuse, trust_all_clients=True)
    assert access.is_operator("")
    assert not access.shows_details("")
    assert access.shows_details("Bearer good")


def test_a_page_is_rendered_once_a_second_and_after_each_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many clients request it; an operator always gets a new one."""
    rendered = list[Report]()

    def count(report: Report, page: PageContext) -> list[CheckRow]:
        rendered.append(report)
        return check_rows(report, page)

    monkeypatch.setattr("app.api.page.check_rows", count)
    app_under_test = AppUnderTest()
    app_under_test.set_statuses(Status.PASS, Status.PASS)
    client = TestClient(app_under_test.app)

    def renders(path: str = "/health", headers: dict[str, str] = BROWSER) -> int:
        before = len(rendered)
        for _ in range(5):
            assert "<h1>" in client.get(path, headers=headers).text
        return len(rendered) - before

    assert renders() == 1
    assert renders("/health?format=html") == 0
    assert renders("/health/checks/redis") == 1
    assert renders(headers=OPERATOR) == 5
    app_under_test.seconds += 1
    assert renders() == 1
    app_under_test.set_statuses(Status.PASS, Status.FAIL)
    assert renders() == 1
    app_under_test.lifecycle.maintenance = True
    assert renders() == 1


def test_the_number_of_cached_pages_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is removed, and the answers stay correct."""
    monkeypatch.setattr("app.api.answers.MAX_PAGES", 2)
    client = TestClient(AppUnderTest().app)
    for name in ("a", "b", "c", "a"):
        assert f"no check is named {name}" in client.get(f"/health?exclude={name}&format=html").text
