"""Screenshots and accessibility of the page, at two widths, in light and dark mode."""

import struct
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import Open
from tests.unit.api.scenes import PAGE_STATES


SCREENSHOTS = Path(__file__).parent / "screenshots"
CLIENTS = ("operator", "refused", "anonymous", "refused-anonymous")
QUERIES = [*PAGE_STATES, *(f"fail&client={client}" for client in CLIENTS)]
QUERIES += ["draining&client=operator", "sixty&client=operator"]
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(name="color_scheme", params=["light", "dark"])
def _color_scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("query", QUERIES)
def test_a_page_is_accessible(
    open_page: Open, url: str, query: str, color_scheme: str, width: int
) -> None:
    """axe-core finds no violation, and nothing overflows."""
    page = open_page(
        url + query,
        color_scheme=color_scheme,
        viewport={"width": width, "height": 900},
        bypass_csp=True,  # axe-core is injected
    )
    for details in page.locator("summary").all():
        details.click()
    name = query.replace("&client=", "-")
    page.screenshot(path=SCREENSHOTS / f"{name}-{color_scheme}-{width}.png", full_page=True)
    assert page.evaluate(OVERFLOW) == 0
    results = Axe().run(page)
    assert results.response["violations"] == [], results.generate_report()


def test_the_picture_for_the_readme_shows_the_whole_page(open_page: Open, url: str) -> None:
    """It is higher than the window and smaller than 100 KB; `make picture` copies it to docs/."""
    page = open_page(url + "fail", color_scheme="light", viewport={"width": 1024, "height": 400})
    picture = page.locator("#page").screenshot(path=SCREENSHOTS / "readme.png")
    width, height = struct.unpack(">II", picture[16:24])
    assert width > 950
    assert height > 500
    assert len(picture) < 100_000
