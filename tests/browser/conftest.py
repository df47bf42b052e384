"""Chromium, if it is installed, and pages of example states."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.stage import page_server


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

# The message that Chromium logs for a 503.
REFUSAL = "Failed to load resource: the server responded with a status of 503"

Open = Callable[..., Page]


@pytest.fixture(name="browser", scope="session")
def _browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("THE PAGE IS NOT TESTED IN A BROWSER: no chromium (make system-browser)")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=OPTIONS) as browser,
    ):
        yield browser


@pytest.fixture(name="url", scope="session")
def _url() -> Iterator[str]:
    with page_server() as url:
        yield url


@pytest.fixture(name="open_page")
def _open_page(browser: Browser) -> Iterator[Open]:
    """Open pages, and fail if they send requests to other hosts or log unexpected errors.

    A test passes the error that it expects as *but*.
    """
    events: list[str] = []
    errors: list[str] = []
    requested, opened = set[tuple[str, str]](), set[tuple[str, str]]()
    expected = [REFUSAL]

    def add_error(text: str) -> None:
        events.append(text)
        errors.append(text)

    with ExitStack() as stack:

        def open_page(url: str, but: str = REFUSAL, **options: Any) -> Page:
            expected.append(but)
            page = stack.enter_context(browser.new_context(**options)).new_page()
            page.on("console", lambda line: add_error(f"{line.type}: {line.text} {line.location}"))
            page.on("pageerror", lambda error: add_error(f"uncaught: {error}"))
            page.on("request", lambda request: requested.add(urlsplit(request.url)[:2]))
            page.on(
                "requestfailed", lambda request: events.append(f"{request.url} {request.failure}")
            )
            opened.add(urlsplit(url)[:2])
            page.goto(url)
            return page

        yield open_page
    log = "\n".join(events)
    assert requested == opened, log
    unexpected = [error for error in errors if not any(part in error for part in expected)]
    assert not unexpected, log
