"""What the environment says, judged all at once before anything starts."""

from collections.abc import Container, Iterator
from typing import Any

from pydantic import ValidationError

from app.settings import http_checks
from app.settings.model import Settings
from app.settings.secret_files import SECRETS, SecretError
from app.settings.signing_key import SIGNS, key
from app.text import visible


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
    settings, problems = judge()
    if problems:
        raise ConfigurationError(problems)
    return settings


def judge() -> tuple[Settings, list[str]]:
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
    return settings, [visible(problem) for problem in problems]


def _line(name: str, details: Any) -> str:
    if details["type"] == "value_error":
        return f"{name.upper()} {details['ctx']['error']}"
    field = Settings.model_fields[name]
    return f"{name.upper()} must be {field.description}: correct it, or unset it"


def _contradictions(settings: Settings, wrong: Container[str]) -> Iterator[str]:
    """Tell what no single setting shows."""
    found, problems = http_checks.read(settings.http_checks)
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
