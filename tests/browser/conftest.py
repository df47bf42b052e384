"""A real browser, where one is installed, and pages whose every word a test decides."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.stage import stage


OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# What Chromium itself says of an answer that says no.
REFUSAL = "Failed to load resource: the server responded with a status of 503"

Open = Callable[..., Page]


@pytest.fixture(name="browser", scope="session")
def _browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("THE PAGE IS NOT READ IN A BROWSER: no chromium (make system-browser)")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=OPTIONS) as browser,
    ):
        yield browser


@pytest.fixture(name="url", scope="session")
def _url() -> Iterator[str]:
    with stage() as url:
        yield url


@pytest.fixture(name="open_page")
def _open_page(browser: Browser) -> Iterator[Open]:
    """Give a test pages of its own, which may ask nobody but where they come from.

    And nothing may go wrong in them unseen, *but* what the test names.
    """
    told: list[str] = []
    complaints: list[str] = []
    asked, known = set[tuple[str, str]](), set[tuple[str, str]]()
    expected = [REFUSAL]

    def complain(words: str) -> None:
        told.append(words)
        complaints.append(words)

    with ExitStack() as stack:

        def open_page(url: str, but: str = REFUSAL, **options: Any) -> Page:
            expected.append(but)
            page = stack.enter_context(browser.new_context(**options)).new_page()
            page.on("console", lambda said: complain(f"{said.type}: {said.text} {said.location}"))
            page.on("pageerror", lambda error: complain(f"not caught: {error}"))
            page.on("request", lambda request: asked.add(urlsplit(request.url)[:2]))
            page.on(
                "requestfailed", lambda request: told.append(f"{request.url} {request.failure}")
            )
            known.add(urlsplit(url)[:2])
            page.goto(url)
            return page

        yield open_page
    everything = "\n".join(told)
    assert asked == known, everything
    unexpected = [said for said in complaints if not any(part in said for part in expected)]
    assert not unexpected, everything
