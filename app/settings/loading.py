"""Reading the settings, with every problem at once."""

import os
import re
from collections.abc import Collection, Container, Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.checks.http import FORBIDDEN, HttpOptions, parse_http_url
from app.checks.kind import CheckSpec, Options
from app.settings.checks import NAME
from app.settings.model import REMEDY, Settings
from app.settings.secrets import (
    OPTIONAL_SECRETS,
    SECRETS,
    SIGNING_KEY,
    SecretError,
    read_signing_key,
)
from app.text import escape_unprintable


# The settings that configure checks, and those that users are not pointed to.
SOURCES = ("database_url", "redis_url", "checks", "checks_file")
OTHER_SOURCES = ("database_url_file", "redis_url_file", "http_checks")

# The former names of settings, which are accepted until version 3.0, and the names to use.
FORMER_NAMES = {
    "http_checks": "checks",
    "postgres_require": "postgres_depth",
    "redis_require": "redis_depth",
}

# How many checks a line lists.
MAX_NAMES = 10

# Variables that Kubernetes sets for each service, such as REDIS_PORT or CHECK_SERVICE_HOST, and
# HOST and PORT, which are as close to unrelated names as to misspelled ones.
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
SERVICE_LINK = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_[0-9]+_[A-Z]+(_[A-Z]+)?)?)")
TOO_SHORT = {"HOST", "PORT"}

# How similar a misspelled name is, as a whole and in each word: REDIS_URI is a misspelling, and
# DATABASE_USER is not. Nor is REDISCLI_AUTH or MINIO_ROOT_USER_FILE, which other programs read.
MIN_SIMILARITY = 0.85
MIN_WORD_SIMILARITY = 0.6
MAX_LENGTH_DIFFERENCE = 2


class ConfigurationError(Exception):
    """The problems of a configuration. Each is one line with its remedy, and without a value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load() -> Settings:
    """Read the settings from the environment, and check that the required secrets can be read.

    Raises:
        ConfigurationError: something is wrong. It has every problem.
    """
    settings, problems = load_with_problems()
    if problems:
        raise ConfigurationError(problems)
    return settings


def load_with_problems() -> tuple[Settings, list[str]]:
    """Return the settings and every problem. A setting that is wrong has its default."""
    wrong = dict[str, Any]()
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = {str(details["loc"][0]): details for details in error.errors()}
        # With the defaults for these, the others can be checked too.
        settings = Settings(**{name: Settings.model_fields[name].default for name in wrong})
    problems = [_describe(name, details) for name, details in wrong.items()]
    problems += _find_contradictions(settings, wrong.keys())
    return settings, [escape_unprintable(problem) for problem in problems]


def _describe(name: str, details: Any) -> str:
    if details["type"] == "value_error":
        return f"{name.upper()}: {details['ctx']['error']}"
    field = Settings.model_fields[name]
    return f"{name.upper()}: must be {field.description}. {REMEDY}"


def _find_contradictions(settings: Settings, wrong: Container[str]) -> Iterator[str]:
    """Yield the problems that involve several settings."""
    checks = settings.parsed_checks
    yield from checks.problems
    is_complete = not any(source in wrong for source in (*SOURCES, *OTHER_SOURCES))
    if checks.names is not None and is_complete:
        if not checks.names:
            yield f"{', '.join(map(str.upper, SOURCES))}: none of them is set. Set at least one."
        for name in sorted(settings.optional.difference(checks.names)):
            known = list(filter(NAME.fullmatch, dict.fromkeys(checks.names)))
            remedy = " or ".join(known) if 0 < len(known) <= MAX_NAMES else "the name of a check"
            yield f"OPTIONAL_CHECKS: {name} is not a check. Use {remedy}."
    for former, name in FORMER_NAMES.items():
        if former != "http_checks" and {former, name} <= settings.model_fields_set:
            yield f"{former.upper()}: is the former name of {name.upper()}. Unset it."
    needed = set(checks.secrets)
    if settings.health_details == "authorized":
        needed.add(SIGNING_KEY)
    yield from _find_unusable_secrets(settings, needed)


UNSENDABLE = "contains a line break or another character that no header may contain. Remove it."


def _find_unusable_secrets(settings: Settings, needed: set[str]) -> Iterator[str]:
    """Yield which secrets have two files, or are needed and can't be read."""
    optional = settings.optional_secrets
    http = (spec for spec in settings.check_specs if isinstance(spec.options, HttpOptions))
    sent = {name for spec in http for name in spec.options.secret_names(spec.name)}
    for name in [*SECRETS, *sorted((needed | optional).difference(SECRETS))]:
        try:
            secret = settings.secret(name)
            if name in needed or (name in optional and secret.is_used):
                text = read_signing_key(secret) if name == SIGNING_KEY else secret.read()
                if name in sent and FORBIDDEN.search(text):
                    yield f"{name}: {secret.place} {UNSENDABLE}"
        except SecretError as error:
            yield str(error)
    for name in OPTIONAL_SECRETS:
        try:
            if (secret := settings.secret(name)).is_used:
                parse_http_url(secret.read(), "Use a URL with a token instead.")
        except SecretError as error:
            yield str(error)
        except ValueError as error:
            yield f"{name}: {secret.place} {error}"


def find_deprecated(settings: Settings) -> dict[str, str]:
    """Return what to do about each deprecated setting that is used, by its name."""
    values = dict(settings)
    return {
        former.upper(): f"deprecated. Rename it to {name.upper()}; version 3.0 will not read it."
        for former, name in FORMER_NAMES.items()
        if values[former]
    }


def find_misspelled(
    environ: Mapping[str, str] = os.environ, secrets: Collection[str] = SECRETS
) -> dict[str, str]:
    """Return each variable that has no effect, but almost the name of one that has.

    Args:
        secrets: the names of all secrets.

    Returns:
        The name of the similar variable by the name of the misspelled one.
    """
    names = {name.upper() for name in (*Settings.model_fields, *secrets)}
    names |= {f"{name.upper()}_FILE" for name in secrets}
    misspelled = dict[str, str]()
    for variable in sorted(environ):
        name = variable.upper()
        if name in names or SERVICE_LINK.fullmatch(name):
            continue
        candidates = [
            candidate
            for candidate in sorted(names - TOO_SHORT)
            if abs(len(candidate) - len(name)) <= MAX_LENGTH_DIFFERENCE
        ]
        for similar in get_close_matches(name, candidates, cutoff=MIN_SIMILARITY):
            if _has_similar_words(similar, name):
                misspelled[escape_unprintable(variable)] = similar
                break
    return misspelled


def _has_similar_words(one: str, other: str) -> bool:
    """Return whether the names match word by word. True if their word counts differ."""
    words, others = one.split("_"), other.split("_")
    return len(words) != len(others) or all(
        SequenceMatcher(None, *pair).ratio() >= MIN_WORD_SIMILARITY
        for pair in zip(words, others, strict=True)
    )


def effective_settings(settings: Settings) -> dict[str, str]:
    """Return each setting that has a value, by its name in the environment.

    Those of checks with a name have URLs without the query, and no headers: these may be secret.
    """
    values = settings.model_dump(exclude_none=True) | {
        "instance_name": settings.instance,
        "maintenance_file": settings.maintenance,
    }
    for name in (*SOURCES, *OTHER_SOURCES):
        specs = [spec for spec in settings.check_specs if spec.source == name.upper()]
        file = [str(value)] if isinstance(value := values.get(name), Path) else []
        values[name] = ": ".join(file + [", ".join(map(_format_check, specs))] * bool(specs))
    texts = {name: _format(values.get(name, "")) for name in Settings.model_fields}
    return {name.upper(): text for name, text in texts.items() if text}


def _format(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _format_check(spec: CheckSpec[Options]) -> str:
    if "url" in spec.variables:
        return spec.address or spec.options.url
    return f"{spec.name}: {spec.target}"


def changed_settings(settings: Settings) -> frozenset[str]:
    """Return the names of the settings that differ from their defaults."""
    fields = Settings.model_fields.items()
    return frozenset(
        name.upper() for name, field in fields if getattr(settings, name) != field.default
    )
