"""How the page keeps itself fresh, and what it says when it can't."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Open


HIDE = "Object.defineProperty(document, 'hidden', {{ value: {}, configurable: true }})"


def title(page: Page, words: str) -> None:
    """Wait until the page's verdict reads so."""
    expect(page.get_by_role("heading", level=1)).to_have_text(words)


def scene(name: str) -> Callable[[Route], None]:
    """Have the next answers be another scene's."""
    return lambda route: route.continue_(url=route.request.url.replace("pass", name))


def restyled(route: Route) -> None:
    """Answer as a version with another style would."""
    reply = route.fetch()
    route.fulfill(response=reply, body=reply.text().replace("<style>", "<style>/* another */"))


def test_only_what_has_changed_is_changed(open_page: Open, url: str) -> None:
    """So nothing flashes, and what a person has selected stays so."""
    page = open_page(url + "pass")
    page.get_by_role("heading", name="redis").select_text()
    page.route("**", scene("fail"))
    title(page, "Failing")
    expect(page).to_have_title("Failing · Vitals")
    expect(page.locator("#check-postgres")).to_contain_text("does not answer in time")
    assert page.evaluate("getSelection().toString()") == "redis"
    page.unroute("**")
    title(page, "All well")
    expect(page.locator(".advice")).to_have_count(0)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ("none", "net::ERR_FAILED"),
        ("of a proxy", "nothing"),
        ("styled", "Content Security Policy"),
    ],
)
def test_a_page_that_hears_nothing_says_so(
    open_page: Open, url: str, answer: str, complaint: str
) -> None:
    """Green is never left to look fresh; when answers come again it goes on by itself."""
    page = open_page(url + "pass", but=complaint)
    expect(page.get_by_role("alert")).to_be_hidden()
    replies: dict[str, Callable[[Route], None]] = {
        "none": lambda route: route.abort(),
        "of a proxy": lambda route: route.fulfill(status=200, body="<main>Bad gateway</main>"),
        "styled": lambda route: route.fulfill(status=200, body="<style>b{}</style>Bad gateway"),
    }
    page.route("**", replies[answer])
    expect(page.get_by_role("alert")).to_contain_text("No answer from this instance since")
    expect(page).to_have_title("No answer · Vitals")
    assert "grayscale" in page.evaluate("getComputedStyle(document.querySelector('main')).filter")
    page.unroute("**")
    expect(page.get_by_role("alert")).to_be_hidden()
    title(page, "All well")


def test_a_page_that_nobody_looks_at_asks_nothing(open_page: Open, url: str) -> None:
    """Once a second while it is seen, at once when it is seen again."""
    page = open_page(url + "pass")
    page.clock.install()
    page.reload()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    while len(asked) < 3:
        page.clock.run_for(1000)
    page.evaluate(HIDE.format("true"))
    asked.clear()
    for _ in range(5):
        page.clock.run_for(60_000)
    assert not asked
    page.evaluate(HIDE.format("false"))
    with page.expect_response("**"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_a_page_of_another_version_is_loaded_anew(open_page: Open, url: str) -> None:
    """What it looks like and what it does come from the instance that answers."""
    page = open_page(url + "pass", but="Content Security Policy")
    page.evaluate("window.same = true")
    page.route("**", restyled, times=1)
    with page.expect_navigation():
        pass
    assert not page.evaluate("window.same")


def test_a_page_is_read_without_script(open_page: Open, url: str) -> None:
    """Everything is there, and the browser itself loads it again after a while."""
    page = open_page(url + "fail", java_script_enabled=False)
    title(page, "Failing")
    expect(page.locator("#check-postgres")).to_contain_text("does not answer in time")
    with page.expect_navigation(timeout=10_000):
        pass


def test_nothing_that_finds_its_way_into_the_page_is_run(open_page: Open, url: str) -> None:
    """The policy knows the page's own style and script, and nothing else."""
    page = open_page(url + "pass", but="Content Security Policy")
    broken = page.evaluate(
        """() => new Promise((resolve) => {
            const broken = [];
            setTimeout(() => resolve(broken.sort()), 5000);
            document.addEventListener("securitypolicyviolation", (event) => {
                broken.push(event.effectiveDirective);
                if (broken.length === 5) resolve(broken.sort());
            });
            for (const name of ["script", "style", "iframe"]) {
                const element = document.createElement(name);
                element.textContent = "document";
                if (name === "iframe") element.src = "/health?scene=pass";
                document.body.append(element);
            }
            new Image().src = "/picture";
            fetch("http://127.0.0.2/").catch(() => 0);
        })"""
    )
    kinds = ["connect-src", "frame-src", "img-src", "script-src-elem", "style-src-elem"]
    assert broken == kinds
