"""The options of PostgreSQL that depend on each other."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.checks.postgres import PostgresOptions
from app.settings import ConfigurationError, Settings, load
from tests.support.service import ROOT


@pytest.fixture(name="configured")
def _configured(environ: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Unset all sources."""
    environ.delenv("DATABASE_URL")
    environ.delenv("REDIS_URL")
    return environ


def options_of(settings: Settings) -> PostgresOptions:
    """Return the options of the only check."""
    (spec,) = settings.check_specs
    assert isinstance(spec.options, PostgresOptions)
    return spec.options


def documented(page: str, heading: str) -> str:
    """Return the TOML below a heading of a page."""
    text = (ROOT / page).read_text()
    return text.partition(f"## {heading}\n")[2].partition("```toml\n")[2].partition("```")[0]


def test_the_documented_replica_is_accepted(configured: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "checks.toml"
    file.write_text(documented("docs/settings.md", "PostgreSQL replicas") + 'auth = "none"')
    configured.setenv("CHECKS_FILE", str(file))
    options = options_of(load())
    assert (options.depth, options.max_lag) == ("replica", 30)


def test_postgres_alone_has_the_depth_replica(configured: pytest.MonkeyPatch) -> None:
    configured.setenv("DATABASE_URL", "postgresql://user@host/db")
    configured.setenv("POSTGRES_AUTH", "none")
    configured.setenv("POSTGRES_DEPTH", "Replica")
    assert options_of(load()).depth == "replica"
    configured.setenv("CHECKS", json.dumps({"a": {"url": "redis://host", "depth": "replica"}}))
    with pytest.raises(ConfigurationError, match="must be connect, query or writable"):
        load()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"max_lag": 1}, "max_lag: needs the depth replica. Set it, or remove max_lag."),
        (
            {"depth": "replica", "max_lag": "1"},
            "max_lag: must be a number of seconds from 0.01 to 86400. Correct it or remove it.",
        ),
        (
            {"depth": "connect", "condition": "SELECT true"},
            "condition: needs another depth than connect. Set it, or remove condition.",
        ),
        *[
            ({"condition": condition}, "condition: must be one SELECT. Correct it or remove it.")
            for condition in ("", "DELETE FROM jobs", "SELECT 'a\0'", "SELECT '\ud800'", 7)
        ],
        (
            {"depth": "primary"},
            "depth: must be connect, query, writable or replica. Correct it or remove it.",
        ),
    ],
)
def test_options_that_can_not_work_are_refused(
    configured: pytest.MonkeyPatch, options: dict[str, Any], problem: str
) -> None:
    check = {"url": "postgresql://user@host/db", "auth": "none", **options}
    configured.setenv("CHECKS", json.dumps({"a": check}))
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert str(caught.value).splitlines()[-1].endswith(f"CHECKS: a: {problem}")
