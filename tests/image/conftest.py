"""Deployments for the tests."""

import time
from collections.abc import Iterator

import pytest

from tests.image.stack import DEVELOPMENT, HURRIED, Stack, operated, stack
from tests.support.pages import shown


FIRST, INTENDED = shown("README.md", "With Docker")


# Seconds that the commands of the README take at most.
SOON = 300


@pytest.fixture(name="production", scope="module")
def _production() -> Iterator[Stack]:
    """Production for one module. An ordinary user has typed the commands of the README."""
    commands = [command for command, _ in INTENDED.exchanges]
    assert len(commands) <= 5
    with operated() as deployment:
        begun = time.monotonic()
        deployment.run_shown("\n".join(commands))
        assert time.monotonic() - begun < SOON
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
