"""The deployments that tests share."""

from collections.abc import Iterator

import pytest

from tests.image.stack import DEVELOPMENT, HURRIED, PRODUCTION, Stack, stack


@pytest.fixture(name="production", scope="module")
def _production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a module production as it is, up and healthy."""
    with stack(tmp_path_factory.mktemp("production"), PRODUCTION) as deployment:
        deployment.up()
        yield deployment


@pytest.fixture(name="breakable", scope="module")
def _breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a module production that it may break, as long as it mends it; Docker asks often."""
    with stack(tmp_path_factory.mktemp("breakable"), HURRIED) as deployment:
        deployment.up(RECONNECT_INTERVAL="1")
        yield deployment


@pytest.fixture(name="development", scope="module")
def _development(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a module development, with nothing prepared."""
    with stack(tmp_path_factory.mktemp("development"), DEVELOPMENT) as deployment:
        deployment.up()
        yield deployment
