"""The servers that tests share, and those that a test may break."""

from collections.abc import Iterator

import pytest

from app.embedded import Postgres, Valkey


@pytest.fixture(name="postgres", scope="session")
def _postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(name="valkey", scope="session")
def _valkey() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture(name="own_postgres", scope="module")
def _own_postgres() -> Iterator[Postgres]:
    """Give a module a PostgreSQL that it may break, as long as it mends it."""
    with Postgres() as server:
        yield server


@pytest.fixture(name="own_valkey", scope="module")
def _own_valkey() -> Iterator[Valkey]:
    """Give a module a Valkey that it may break, as long as it mends it."""
    with Valkey() as server:
        yield server
