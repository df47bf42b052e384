"""Each scene as a person sees it, at two widths, in light and in dark."""

import struct
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.api.scenes import SCENES
from tests.browser.conftest import Open


SCREENSHOTS = Path(__file__).parent / "screenshots"
WHO = [*SCENES, "fail&who=operator", "fail&who=stranger"]
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(name="look", params=["light", "dark"])
def _look(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scene", WHO)
def test_a_page_is_fit_for_everybody(
    open_page: Open, url: str, scene: str, look: str, width: int
) -> None:
    """Nothing overflows, and axe-core finds no violation."""
    page = open_page(
        url + scene,
        color_scheme=look,
        viewport={"width": width, "height": 900},
        bypass_csp=True,  # axe-core is injected
    )
    name = scene.replace("&who=", "-")
    page.screenshot(path=SCREENSHOTS / f"{name}-{look}-{width}.png", full_page=True)
    assert page.evaluate(OVERFLOW) == 0
    found = Axe().run(page)
    assert found.response["violations"] == [], found.generate_report()


def test_the_picture_in_the_readme_shows_all_of_a_page(open_page: Open, url: str) -> None:
    """It is higher than the window, and light enough; `make picture` puts it there."""
    page = open_page(url + "fail", color_scheme="light", viewport={"width": 1024, "height": 400})
    picture = page.locator("#page").screenshot(path=SCREENSHOTS / "readme.png")
    width, height = struct.unpack(">II", picture[16:24])
    assert width > 950
    assert height > 500
    assert len(picture) < 100_000
