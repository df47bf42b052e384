"""What an operator sees of a running service, and nobody else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.auth import SCOPE, issue
from app.devservers import Valkey
from tests.probes.attempt import eventually
from tests.service import Service, on, running


NEVER = 2**31


@pytest.fixture(name="key")
def _key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text("k" * 32)
    return file


@pytest.fixture(name="service")
def _service(valkey: Valkey, key: Path, tmp_path: Path) -> Iterator[Service]:
    environ = {
        **on(valkey=valkey),
        "HEALTH_DETAILS": "authorized",
        "JWT_SECRET_FILE": str(key),
        "SECRETS_DIR": str(tmp_path),
    }
    with running(environ, tmp_path / "log") as service:
        yield service


def shown(service: Service, key: str) -> bool:
    """Whether each check is shown to whoever has a token that is signed so."""
    bearer = f"Bearer {issue(key, SCOPE, NEVER)}"
    return "checks" in service.ask("/health", Authorization=bearer).json


def rotate(key: Path) -> None:
    """Put a new secret into its file, in place."""
    key.write_text("o" * 32)


async def test_a_rotated_key_lets_new_tokens_in_and_the_old_ones_no_more(
    service: Service, key: Path
) -> None:
    """Without a restart, and whoever has none is told as much as ever."""
    await eventually(lambda: shown(service, "k" * 32))
    assert service.ask("/health").json.keys() == {"status"}
    rotate(key)
    await eventually(lambda: shown(service, "o" * 32))
    assert not shown(service, "k" * 32)
