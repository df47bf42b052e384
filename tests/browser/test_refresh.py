"""How the page refreshes itself, and what it shows if it can't."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Open
from tests.unit.api.scenes import INSTANCE


HIDE = "Object.defineProperty(document, 'hidden', {{ value: {}, configurable: true }})"


def title(page: Page, words: str) -> None:
    """Wait until the page has this title in its banner."""
    expect(page.get_by_role("heading", level=1)).to_contain_text(words)


def respond_with(name: str) -> Callable[[Route], None]:
    """Return a handler that answers with another state of the page."""
    return lambda route: route.continue_(url=route.request.url.replace("pass", name))


def restyled(route: Route) -> None:
    """Answer as another version of the page, with another style."""
    reply = route.fetch()
    route.fulfill(response=reply, body=reply.text().replace("<style>", "<style>/* another */"))


def test_a_refresh_replaces_only_what_differs(open_page: Open, url: str) -> None:
    """So nothing flashes, and a selection stays."""
    page = open_page(url + "pass")
    page.get_by_role("heading", name="redis").select_text()
    page.route("**", respond_with("fail"))
    title(page, "Failing")
    expect(page).to_have_title(f"Failing · {INSTANCE} · Vitals")
    expect(page.locator("#check-postgres")).to_contain_text("does not answer in time")
    assert page.evaluate("getSelection().toString()") == "redis"
    page.unroute("**")
    title(page, "Healthy")
    expect(page.locator(".advice")).to_have_count(0)


def test_the_settings_stay_open(open_page: Open, url: str) -> None:
    """They are folded at first. A refresh does not fold them again."""
    page = open_page(url + "pass&client=operator")
    setting = page.get_by_text("CHECK_INTERVAL")
    expect(setting).to_be_hidden()
    page.get_by_text("Effective settings").click()
    expect(setting).to_be_visible()
    page.route("**", respond_with("fail"))
    title(page, "Failing")
    expect(setting).to_be_visible()


def test_a_time_shows_in_the_zone_of_the_reader(open_page: Open, url: str) -> None:
    """While the pointer rests on it, also after a refresh."""
    page = open_page(url + "pass", timezone_id="Europe/Rome", locale="en-GB")
    page.route("**", respond_with("fail"))
    for words, state in (("for 11 min", "Healthy"), ("for 1 min 32 s", "Failing")):
        title(page, state)
        local = page.locator("time", has_text=words).first.get_attribute("title") or ""
        assert local.startswith("24 Nov 2026"), local
        assert ("03:58:28" in local) == (state == "Failing"), local


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("none", "net::ERR_FAILED"),
        ("of a proxy", "nothing"),
        ("styled", "Content Security Policy"),
    ],
)
def test_a_page_without_answers_says_that_it_is_out_of_date(
    open_page: Open, url: str, answer: str, error: str
) -> None:
    """It recovers without a reload when answers arrive again."""
    page = open_page(url + "pass", but=error)
    expect(page.get_by_role("alert")).to_be_hidden()
    replies: dict[str, Callable[[Route], None]] = {
        "none": lambda route: route.abort(),
        "of a proxy": lambda route: route.fulfill(status=200, body="<main>Bad gateway</main>"),
        "styled": lambda route: route.fulfill(status=200, body="<style>b{}</style>Bad gateway"),
    }
    page.route("**", replies[answer])
    expect(page.get_by_role("alert")).to_contain_text("No answer from this instance since")
    expect(page).to_have_title(f"No answer · {INSTANCE} · Vitals")
    assert "grayscale" in page.evaluate("getComputedStyle(document.querySelector('main')).filter")
    page.unroute("**")
    expect(page.get_by_role("alert")).to_be_hidden()
    title(page, "Healthy")


def test_a_hidden_page_sends_no_requests(open_page: Open, url: str) -> None:
    """It refreshes once a second while it is visible, and at once when it becomes visible."""
    page = open_page(url + "pass")
    page.clock.install()
    page.reload()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    while len(requests) < 3:
        page.clock.run_for(1000)
    page.evaluate(HIDE.format("true"))
    requests.clear()
    for _ in range(5):
        page.clock.run_for(60_000)
    assert not requests
    page.evaluate(HIDE.format("false"))
    with page.expect_response("**"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_a_page_of_another_version_is_reloaded(open_page: Open, url: str) -> None:
    """So style and script come from the instance that answers."""
    page = open_page(url + "pass", but="Content Security Policy")
    page.evaluate("window.same = true")
    page.route("**", restyled, times=1)
    with page.expect_navigation():
        pass
    assert not page.evaluate("window.same")


def test_the_page_works_without_javascript(open_page: Open, url: str) -> None:
    """It is complete, and the browser reloads it every five seconds."""
    page = open_page(url + "fail", java_script_enabled=False)
    title(page, "Failing")
    expect(page.locator("#check-postgres")).to_contain_text("does not answer in time")
    with page.expect_navigation(timeout=10_000):
        pass


def test_the_browser_blocks_foreign_content(open_page: Open, url: str) -> None:
    """The policy allows only the page's own style and script."""
    page = open_page(url + "pass", but="Content Security Policy")
    blocked = page.evaluate(
        """() => new Promise((resolve) => {
            const blocked = [];
            setTimeout(() => resolve(blocked.sort()), 5000);
            document.addEventListener("securitypolicyviolation", (event) => {
                blocked.push(event.effectiveDirective);
                if (blocked.length === 5) resolve(blocked.sort());
            });
            for (const name of ["script", "style", "iframe"]) {
                const element = document.createElement(name);
                element.textContent = "document";
                if (name === "iframe") element.src = "/health?state=pass";
                document.body.append(element);
            }
            new Image().src = "/picture";
            fetch("http://127.0.0.2/").catch(() => 0);
        })"""
    )
    kinds = ["connect-src", "frame-src", "img-src", "script-src-elem", "style-src-elem"]
    assert blocked == kinds
