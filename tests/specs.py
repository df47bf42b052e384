"""Specifications of checks for tests that bring their own probe."""

import json

from app.checks.kind import CheckSpec, Options
from app.settings import Settings


def spec_of(name: str, settings: Settings | None = None) -> CheckSpec[Options]:
    """Return the check *name* with the terms of the settings: a store, or else an HTTP check."""
    urls = {
        "database_url": "postgresql://user@host/db",
        "redis_url": "redis://host",
        "checks": json.dumps({name: {"url": "http://host/"}}),
    }
    urls |= {"checks": ""} if name in {"postgres", "redis"} else {}
    given = (settings or Settings()).model_dump()
    return next(spec for spec in Settings(**given | urls).check_specs if spec.name == name)
