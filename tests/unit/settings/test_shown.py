from pathlib import Path

import pytest

from app.settings import Settings
from app.settings.loading import changed_settings, effective_settings


def test_effective_settings_have_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the names of the environment. Unset ones are left out, and derived ones included."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@db:5432/app?sslmode=require")
    monkeypatch.setenv(
        "CHECKS",
        '{"minio": {"url": "http://minio:9000/health?token=topsecret", '
        '"headers": {"x-key": "hidden"}}, "orders": {"url": "postgresql://u@a,[::1]/d?ssl=true"}}',
    )
    monkeypatch.setenv("PORT", "8123")
    shown = effective_settings(Settings())
    assert shown["DATABASE_URL"] == "postgresql://app@db:5432/app?sslmode=require"
    assert shown["CHECKS"] == "minio: http://minio:9000/health, orders: postgresql://u@a,[::1]/d"
    assert shown["CHECK_INTERVAL"] == "1"
    assert Path(shown["MAINTENANCE_FILE"]).name == "vitals-8123.maintenance"
    assert not {"REDIS_URL", "OPTIONAL_CHECKS", "REDIS_CHECK_TIMEOUT"} & shown.keys()
    assert "topsecret" not in "".join(shown.values())
    assert "hidden" not in "".join(shown.values())


def test_a_setting_has_changed_if_it_differs_from_its_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is set to its default has not, and one that is derived has not either."""
    monkeypatch.setenv("REDIS_URL", "redis://cache")
    monkeypatch.setenv("CHECK_INTERVAL", "1.0")
    monkeypatch.setenv("LOG_FORMAT", "")
    assert changed_settings(Settings()) == {"REDIS_URL"}
