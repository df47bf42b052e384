"""Deployments for the tests."""

from collections.abc import Iterator

import pytest

from tests.image.stack import DEVELOPMENT, HURRIED, PRODUCTION, Stack, stack
from tests.pages import shown


FIRST, INTENDED = shown("README.md", "With Docker")


@pytest.fixture(name="production", scope="module")
def _production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Production, started as in the README, for one module."""
    with stack(tmp_path_factory.mktemp("production"), PRODUCTION) as deployment:
        deployment.run_shown("\n".join(command for command, _ in INTENDED.exchanges))
        yield deployment


@pytest.fixture(name="breakable", scope="module")
def _breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Production for one module, which may break it and must repair it. Docker checks often."""
    with stack(tmp_path_factory.mktemp("breakable"), HURRIED) as deployment:
        deployment.up(RECONNECT_INTERVAL="1")
        yield deployment


@pytest.fixture(name="development", scope="module")
def _development(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Development, started as in the README without preparation, for one module."""
    with stack(tmp_path_factory.mktemp("development"), DEVELOPMENT) as deployment:
        ((command, _),) = FIRST.exchanges
        deployment.run_shown(f"{command} --detach --wait --wait-timeout 120")
        yield deployment
