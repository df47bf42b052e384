"""What only operators see of a running service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.auth import SCOPE, issue
from tests.support.devservers import Valkey
from tests.support.service import Service, on, running
from tests.unit.checks.attempt import eventually


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
        "INSTANCE_NAME": "web-1",
        "JWT_SECRET_FILE": str(key),
        "SECRETS_DIR": str(tmp_path),
    }
    with running(environ, tmp_path / "log") as service:
        yield service


def sees_details(service: Service, key: str) -> bool:
    """Return whether a client with a token signed by *key* sees each check."""
    bearer = f"Bearer {issue(key, SCOPE, NEVER)}"
    return "checks" in service.ask("/health", Authorization=bearer).json


def rotate(key: Path) -> None:
    """Write a new key to the file, in place."""
    key.write_text("o" * 32)


async def test_after_a_key_rotation_only_new_tokens_are_valid(service: Service, key: Path) -> None:
    """Without a restart. A client without a token sees only the status, before and after."""
    await eventually(lambda: sees_details(service, "k" * 32))
    assert service.ask("/health").json.keys() == {"status"}
    rotate(key)
    await eventually(lambda: sees_details(service, "o" * 32))
    assert not sees_details(service, "k" * 32)


async def test_the_page_has_the_name_and_the_targets(
    service: Service, valkey: Valkey, key: Path
) -> None:
    """For a client with a valid token. Another one learns why its token was refused."""
    await eventually(lambda: sees_details(service, key.read_text()))

    def page(expires: float) -> str:
        bearer = f"Bearer {issue(key.read_text(), SCOPE, expires)}"
        return service.ask("/health", Accept="text/html", Authorization=bearer).body.decode()

    shown, refused = page(NEVER), page(10**9)
    assert "<h1><small>web-1</small> " in shown
    assert f'<p class="target">{valkey.url}</p>' in shown
    assert "Your token has expired" in refused
    assert "redis" not in refused
    assert 'instance_name="web-1"' in service.ask("/metrics").body.decode()
