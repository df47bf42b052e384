"""The page, as it is asked for."""

import pytest
from starlette.testclient import TestClient

from app.api.page import POLICY, Row, rows
from app.api.verdict import HistorySnapshot
from app.auth import Access
from app.health import Reason, Report, Status
from tests.api.desk import Desk, observation
from tests.api.scene import Scene


BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
OPERATOR = {**BROWSER, "Authorization": "Bearer good", "User-Agent": "a browser"}


@pytest.mark.parametrize(
    ("status", "code", "title"), [(Status.PASS, 200, "All well"), (Status.FAIL, 503, "Failing")]
)
def test_a_browser_is_given_the_page(desk: Desk, status: Status, code: int, title: str) -> None:
    """With the code of every other answer, and a policy for the browser."""
    desk.known[1] = observation("redis", status)
    reply = desk.client.get("/health", headers=BROWSER)
    assert reply.status_code == code
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-security-policy"] == POLICY
    assert reply.headers["cache-control"] == "no-store"
    assert f"<h1>{title}</h1>" in reply.text
    assert desk.client.get("/health?format=html").text == reply.text
    assert "content-security-policy" not in desk.client.get("/health").headers


@pytest.mark.parametrize("path", ["/health/live", "/health/started", "/health/checks/redis"])
def test_every_question_has_a_page(desk: Desk, path: str) -> None:
    """With as much as there is to tell, and a check that fails says why there too."""
    desk.known[1] = observation("redis", Status.FAIL, Reason.TLS)
    text = desk.client.get(path, headers=BROWSER).text
    assert "<h1>" in text
    assert ("CA that is mounted" in text) == path.endswith("redis")


def test_only_an_operator_is_shown_who_asks_and_what_is_set(desk: Desk) -> None:
    """By the token, whoever sees the checks; not at all where nobody is to see them."""
    desk.client.get("/health", headers=BROWSER)
    text = [desk.client.get("/health", headers=OPERATOR).text for _ in range(2)][1]
    assert "Settings in force" in text
    assert "a browser" in text
    assert "Settings in force" not in desk.client.get("/health", headers=BROWSER).text
    desk.show("never")
    assert "Settings in force" not in desk.client.get("/health", headers=OPERATOR).text


def test_on_a_machine_of_ones_own_everybody_is_an_operator() -> None:
    """But what each setting hides stays hidden, so that it can be tried out."""
    access = Access("authorized", lambda shown: shown == "good", trust_all_clients=True)
    assert access.operator("")
    assert not access.shows("")
    assert access.shows("Bearer good")


def test_a_page_is_rendered_once_a_second_and_after_each_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However often it is asked for, but for an operator, to whom it is shown as it is now."""
    rendered = list[Report]()

    def count(report: Report, snapshot: HistorySnapshot) -> list[Row]:
        rendered.append(report)
        return rows(report, snapshot)

    monkeypatch.setattr("app.api.page.rows", count)
    scene = Scene()
    scene.know(Status.PASS, Status.PASS)
    client = TestClient(scene.routes)

    def renders(path: str = "/health", headers: dict[str, str] = BROWSER) -> int:
        before = len(rendered)
        for _ in range(5):
            assert "<h1>" in client.get(path, headers=headers).text
        return len(rendered) - before

    assert renders() == 1
    assert renders("/health?format=html") == 0
    assert renders("/health/checks/redis") == 1
    assert renders(headers=OPERATOR) == 5
    scene.seconds += 1
    assert renders() == 1
    scene.know(Status.PASS, Status.FAIL)
    assert renders() == 1
    scene.lifecycle.maintenance = True
    assert renders() == 1


def test_pages_of_many_kinds_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest makes room: an answer is right all the same."""
    monkeypatch.setattr("app.api.answers.MAX_PAGES", 2)
    client = TestClient(Scene().routes)
    for name in ("a", "b", "c", "a"):
        assert f"no check is named {name}" in client.get(f"/health?exclude={name}&format=html").text
