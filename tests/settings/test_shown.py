from pathlib import Path

import pytest

from app.settings import Settings
from app.settings.loading import effective_settings


def test_what_is_set_is_told_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the names of the environment; what is not set is left out, what is derived is told."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@db:5432/app?sslmode=require")
    monkeypatch.setenv(
        "HTTP_CHECKS",
        '{"minio": {"url": "http://minio:9000/health?token=topsecret", '
        '"headers": {"x-key": "hidden"}}, "search": {"url": "https://search/"}}',
    )
    monkeypatch.setenv("PORT", "8123")
    told = effective_settings(Settings())
    assert told["DATABASE_URL"] == "postgresql://app@db:5432/app?sslmode=require"
    assert told["HTTP_CHECKS"] == "minio: http://minio:9000/health, search: https://search/"
    assert told["CHECK_INTERVAL"] == "1"
    assert Path(told["MAINTENANCE_FILE"]).name == "vitals-8123.maintenance"
    assert not {"REDIS_URL", "OPTIONAL_CHECKS", "REDIS_CHECK_TIMEOUT"} & told.keys()
    assert "topsecret" not in "".join(told.values())
    assert "hidden" not in "".join(told.values())
