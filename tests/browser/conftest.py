"""Chromium, if it is installed, and pages of example states."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.stage import Pages
from tests.support.serving import serving


OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
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
    """Serve pages. A test appends the name of a state."""
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Pages)) as server:
        yield f"http://127.0.0.1:{server.server_port}/health?state="


@pytest.fixture(name="open_page")
def _open_page(browser: Browser) -> Iterator[Open]:
    """Open pages, and fail if they send requests to other hosts or log unexpected errors.

    A test passes the error that it expects as *but*.
    """
    errors: list[str] = []
    failed: list[str] = []
    requested, opened = set[tuple[str, str]](), set[tuple[str, str]]()
    expected = [REFUSAL]
    with ExitStack() as stack:

        def open_page(url: str, but: str = REFUSAL, **options: Any) -> Page:
            expected.append(but)
            page = stack.enter_context(browser.new_context(**options)).new_page()
            page.on("console", lambda one: errors.append(f"{one.type}: {one.text} {one.location}"))
            page.on("pageerror", lambda error: errors.append(f"uncaught: {error}"))
            page.on("request", lambda one: requested.add(urlsplit(one.url)[:2]))
            page.on("requestfailed", lambda one: failed.append(f"{one.url} {one.failure}"))
            opened.add(urlsplit(url)[:2])
            page.goto(url)
            return page

        yield open_page
    log = [*errors, *failed]
    assert requested == opened, log
    unexpected = [error for error in errors if not any(part in error for part in expected)]
    assert not unexpected, log
