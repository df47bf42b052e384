"""The settings in force, for an operator to look at."""

from collections.abc import Container, Iterator
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from app.settings.checks import HttpTarget, read_http_checks
from app.settings.model import Settings
from app.settings.secrets import SECRETS, SIGNS, SecretError, key
from app.text import escape_unprintable


class ConfigurationError(Exception):
    """What is wrong with the configuration: one line a problem, with its remedy, never a value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load() -> Settings:
    """Read the settings from the environment, and see that the secrets they need can be read.

    Raises:
        ConfigurationError: something is wrong; it tells everything that is.

    """
    settings, problems = load_with_problems()
    if problems:
        raise ConfigurationError(problems)
    return settings


def load_with_problems() -> tuple[Settings, list[str]]:
    """Read the settings, with what is wrong at its default, and tell all that is wrong."""
    wrong = dict[str, Any]()
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = {str(details["loc"][0]): details for details in error.errors()}
        # The rest is judged all the same, with what is wrong at its default.
        settings = Settings(**{name: Settings.model_fields[name].default for name in wrong})
    problems = [_line(name, details) for name, details in wrong.items()]
    problems += _contradictions(settings, wrong.keys())
    return settings, [escape_unprintable(problem) for problem in problems]


def _line(name: str, details: Any) -> str:
    if details["type"] == "value_error":
        return f"{name.upper()} {details['ctx']['error']}"
    field = Settings.model_fields[name]
    return f"{name.upper()} must be {field.description}: correct it, or unset it"


def _contradictions(settings: Settings, wrong: Container[str]) -> Iterator[str]:
    """Tell what no single setting shows."""
    found, problems = read_http_checks(settings.http_checks)
    yield from problems
    fields = {"postgres": "database_url", "redis": "redis_url"}
    stores = [name for name, url in fields.items() if getattr(settings, url) or url in wrong]
    configured = stores + [target.name for target in found]
    if not configured and not problems:
        yield "DATABASE_URL, REDIS_URL and HTTP_CHECKS are not set: set at least one to check"
    unknown = settings.optional.difference(configured) if configured and not problems else ()
    for name in sorted(unknown):
        yield f"OPTIONAL_CHECKS names {name}, which is not a check: {' or '.join(configured)}"
    needed = {name for target in found for name in target.secrets}
    needed |= {f"{name}_password" for name in stores if settings.password(name)}
    if settings.health_details == "authorized":
        needed.add(SIGNS)
    yield from _unusable(settings, needed)


def _unusable(settings: Settings, needed: set[str]) -> Iterator[str]:
    """Tell which secrets are offered twice, or needed and can't be read."""
    for name in [*SECRETS, *sorted(needed.difference(SECRETS))]:
        try:
            secret = settings.secret(name)
            if name in needed:
                key(secret) if name == SIGNS else secret.read()
        except SecretError as error:
            yield str(error)


def effective_settings(settings: Settings) -> dict[str, str]:
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
