"""Checks whose URL is a secret, on real servers, while the secret is replaced."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.service.test_rotation import all_methods
from tests.support.devservers import Postgres, Valkey
from tests.support.ports import free_port
from tests.support.replacing import Replacing
from tests.support.service import on, running


PASSWORD = "p@ss/w:rd? #%"  # noqa: S105 - for a role of a test's own server
BOUND = 5


def with_password(server: Postgres | Valkey, password: str | None = None) -> str:
    """Return the server's URL with a password: its own, unless another is given."""
    start, rest = server.url.split("://")
    user, _, host = rest.rpartition("@")
    secret = quote(password or server.password_file.read_text(), safe="")
    return f"{start}://{user}:{secret}@{host}"


def environ(folder: Path, **changes: str) -> dict[str, str]:
    """Return settings with the secrets of a folder."""
    return {**on(), "SECRETS_DIR": str(folder), **changes}


def test_a_replaced_url_is_used_without_a_restart(
    postgres: Postgres, valkey: Valkey, tmp_path: Path
) -> None:
    """Of each source, and no other secret is needed. A wrong password shows as `auth`.

    The scheme is in any case, as RFC 3986 has it.
    """
    files = {"pg": with_password(postgres), "cache_url": f"R{with_password(valkey)[1:]}"}
    for name, url in files.items():
        (tmp_path / name).write_text(f"{url}\n")
    settings = environ(
        tmp_path,
        DATABASE_URL_FILE=str(tmp_path / "pg"),
        CHECKS=json.dumps({"cache": {"url": "secret:cache_url", "depth": "writable"}}),
    )
    with running(settings, tmp_path / "log") as service:
        for name in ("postgres", "cache"):
            service.until(name, None, BOUND)
        (tmp_path / "pg").write_text(with_password(postgres, "wrong"))
        (tmp_path / "cache_url").write_text(with_password(valkey, PASSWORD))
        for name in ("postgres", "cache"):
            service.until(name, "auth", BOUND)
        (tmp_path / "pg").write_text(files["pg"].replace(str(postgres.port), str(free_port())))
        service.until("postgres", "refused", BOUND)
        (tmp_path / "pg").unlink()
        service.until("postgres", "auth", BOUND)
        for name, url in files.items():
            (tmp_path / name).write_text(url)
        for name in ("postgres", "cache"):
            service.until(name, None, BOUND)
    assert_hidden(tmp_path / "log", postgres, valkey)


@pytest.mark.parametrize("content", ["redis://:{password}@host", "postgresql://{password}@h:x/"])
def test_a_url_that_can_not_be_used_is_misconfigured(
    postgres: Postgres, valkey: Valkey, tmp_path: Path, content: str
) -> None:
    """Another scheme than at the start, or no URL of the kind."""
    file = tmp_path / "pg"
    file.write_text(with_password(postgres))
    settings = environ(tmp_path, DATABASE_URL_FILE=str(file))
    with running(settings, tmp_path / "log") as service:
        service.until("postgres", None, BOUND)
        file.write_text(content.format(password=postgres.password_file.read_text()))
        service.until("postgres", "misconfigured", BOUND)
        page = service.ask("/health", accept="text/html").body.decode()
        assert "has another scheme than at the start, or is invalid" in page
        file.write_text(with_password(postgres))
        service.until("postgres", None, BOUND)
    assert_hidden(tmp_path / "log", postgres, valkey)


@all_methods
def test_an_http_url_is_replaced_at_the_next_attempt(
    tmp_path: Path, valkey: Valkey, replace: Replacing
) -> None:
    """It has no password, and its path is not shown."""
    (folder := tmp_path / "secrets").mkdir()
    file = folder / "hook_url"
    file.write_text(f"http://127.0.0.1:{free_port()}/CANARY")
    settings = environ(folder, CHECKS=json.dumps({"hook": {"url": "secret:hook_url"}}))
    with running(settings, tmp_path / "log") as service:
        service.until("hook", "refused", BOUND)
        replace(file, f"http://127.0.0.1:{valkey.port}/CANARY".encode())
        service.until("hook", "disconnected", BOUND)
        replace(file, f"http://127.0.0.1:{service.port}/health/live?CANARY".encode())
        service.until("hook", None, BOUND)
    assert "CANARY" not in (tmp_path / "log").read_text()


def assert_hidden(log: Path, *servers: Postgres | Valkey) -> None:
    """Assert that a log contains no password, and no URL."""
    text = log.read_text()
    for server in servers:
        assert server.password_file.read_text() not in text
    assert "postgresql://" not in text
    assert "redis://" not in text
