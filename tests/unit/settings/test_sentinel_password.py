"""The secret with the password of Redis Sentinels, which is used if its file exists."""

import json
from pathlib import Path

import pytest

from app.settings import ConfigurationError, load


NAME = "a_b_sentinel_password"


@pytest.fixture(name="configured", params=["url", "secret"])
def _configured(
    request: pytest.FixtureRequest, environ: pytest.MonkeyPatch, tmp_path: Path
) -> pytest.MonkeyPatch:
    """Configure a check with Sentinels, whose URL is a setting or a secret."""
    environ.delenv("DATABASE_URL")
    environ.delenv("REDIS_URL")
    (tmp_path / "a_b_password").write_text("secret")
    (tmp_path / "whole_url").write_text("redis+sentinel://:secret@host,other/main")
    urls = {"url": "redis+sentinel://host,other/main", "secret": "secret:whole_url"}
    environ.setenv("CHECKS", json.dumps({"a-b": {"url": urls[request.param]}}))
    return environ


@pytest.mark.usefixtures("configured")
def test_the_secret_may_be_missing() -> None:
    settings = load()
    assert NAME in settings.secret_names
    assert not settings.secret(NAME).exists


@pytest.mark.usefixtures("configured")
def test_an_empty_secret_is_reported(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    with pytest.raises(ConfigurationError) as caught:
        load()
    [problem] = caught.value.problems
    assert problem == f"{NAME}: {tmp_path / NAME} is empty. Write the secret into it."


def test_a_variable_may_name_its_file(configured: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("another")
    configured.setenv(f"{NAME.upper()}_FILE", str(tmp_path / "elsewhere"))
    settings = load()
    assert settings.secret(NAME).exists
    assert settings.read_secret(NAME) == "another"


def test_another_check_has_no_such_secret(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("CHECKS", json.dumps({"a-b": {"url": "tcp://host:1"}}))
    assert NAME not in load().secret_names
