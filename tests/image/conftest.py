"""The deployments that tests share."""

from collections.abc import Iterator

import pytest

from tests.image.stack import DEVELOPMENT, HURRIED, PRODUCTION, Stack, stack
from tests.pages import shown


FIRST, INTENDED = shown("README.md", "With Docker")


@pytest.fixture(name="production", scope="module")
def _production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a module production as the README has it, up and healthy."""
    with stack(tmp_path_factory.mktemp("production"), PRODUCTION) as deployment:
        deployment.type("\n".join(command for command, _ in INTENDED.exchanges))
        yield deployment


@pytest.fixture(name="breakable", scope="module")
def _breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a module production that it may break, as long as it mends it; Docker asks often."""
    with stack(tmp_path_factory.mktemp("breakable"), HURRIED) as deployment:
        deployment.up(RECONNECT_INTERVAL="1")
        yield deployment


@pytest.fixture(name="development", scope="module")
def _development(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a module development as the README has it, with nothing prepared."""
    with stack(tmp_path_factory.mktemp("development"), DEVELOPMENT) as deployment:
        ((command, _),) = FIRST.exchanges
        deployment.type(f"{command} --detach --wait --wait-timeout 120")
        yield deployment
