"""The settings in force, for an operator to look at."""

from typing import Any
from urllib.parse import urlsplit

from app.settings import Settings
from app.settings.http_checks import HttpTarget


def in_force(settings: Settings) -> dict[str, str]:
    """Tell each setting that has a value by its name in the environment, and no secret.

    Of an HTTP check it tells where it asks; its headers, and the query of its URL, may be secret.
    """
    told = {
        **settings.model_dump(exclude_none=True),
        "maintenance_file": settings.maintenance,
        "http_checks": ", ".join(map(_place, settings.http_targets)),
    }
    texts = {name: _text(told.get(name, "")) for name in Settings.model_fields}
    return {name.upper(): text for name, text in texts.items() if text}


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _place(target: HttpTarget) -> str:
    return f"{target.name}: {urlsplit(target.url)._replace(query='', fragment='').geturl()}"
