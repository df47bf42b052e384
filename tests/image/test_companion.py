"""An application with its own Compose file, and docs/companion.md."""

import shutil
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from app import __version__
from tests.image.stack import Stack, checkout, run, until
from tests.support.pages import alike, shown
from tests.support.ports import free_port
from tests.support.service import ROOT


IMAGE, CHECKS, START = shown("docs/companion.md", "Five minutes with Compose")
(PROBES,) = shown("docs/companion.md", "The load balancer")

SHOP = ROOT / "tests/image/shop"

# Seconds that following the page takes at most, without reading.
MINUTES = 300


def follow(shop: Stack, commands: list[tuple[str, str]]) -> str:
    """Run commands of the page with the shop's password and port, and return the output."""
    script = "\n".join(command for command, _ in commands)
    script = script.replace("127.0.0.1:8000", f"127.0.0.1:{shop.port}")
    script = script.replace(f"vitals:{__version__}", shop.image)
    environ = {**shop.environ, "PASSWORD": "tea", "VITALS_PORT": str(shop.port)}
    return run("sh", "-ec", script, cwd=shop.folder, env=environ)


@pytest.fixture(name="shop", scope="module")
def _shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An application beside a checkout of Vitals, after the steps of the page."""
    folder = tmp_path_factory.mktemp("applications")
    (folder / "vitals").mkdir()
    checkout(folder / "vitals")
    shutil.copytree(SHOP, folder / "shop")
    files = "compose.yaml:../vitals/deploy/companion/compose.yaml"
    shop = Stack(folder / "shop", files, f"shop-test-{uuid4().hex[:8]}", free_port())
    try:
        begun = time.monotonic()
        follow(shop, IMAGE.exchanges)
        (shop.folder / "vitals/checks.toml").write_text(CHECKS.text)
        output = follow(shop, START.exchanges)
        assert time.monotonic() - begun < MINUTES
        assert alike(START.exchanges[-1][1], output.splitlines()[-1])
        yield shop
    finally:
        shop.down()


def test_an_application_is_observed_after_the_steps_of_the_page(shop: Stack) -> None:
    """Without a change in its own files."""
    checks = shop.ask("/health/ready")[1]["checks"]
    assert {name: check["status"] for name, check in checks.items()} == {
        "shop": "pass",
        "db": "pass",
    }
    for path in SHOP.iterdir():
        assert (shop.folder / path.name).read_bytes() == path.read_bytes()


def test_the_page_prints_a_configuration_for_each_proxy(shop: Stack) -> None:
    """With the settings of the container."""
    follow(shop, PROBES.exchanges)
    for name in ("haproxy.cfg", "envoy.yaml", "Caddyfile"):
        printed = (shop.folder / name).read_text()
        assert "DRAIN_SECONDS=0" in printed
        assert "127.0.0.1" in printed


def test_a_failed_database_shows(shop: Stack) -> None:
    """The application itself still passes."""
    shop.compose("stop", "--timeout", "1", "db")
    until(lambda: shop.ask("/health/ready")[0], 503, 10)
    assert shop.reason("shop") is None
    shop.compose("start", "db")
    until(lambda: shop.ask("/health/ready")[0], 200, 30)


def test_maintenance_survives_a_restart_of_the_container(shop: Stack) -> None:
    """The file is on a volume, which the unprivileged user of a read-only root can write to."""
    shop.exec("vitals", "vitals", "maintenance", "on")
    shop.compose("restart", "vitals")
    until(shop.phase, "maintenance", 20)
    shop.exec("vitals", "vitals", "maintenance", "off")
    assert shop.phase() == "serving"
