"""The configured checks, parsed from each setting that has some. No message contains a value."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from app.checks.http import KIND as HTTP
from app.checks.kind import CheckSpec, Kind, Options, StoreOptions, Terms, default_password
from app.checks.postgres import KIND as POSTGRESQL
from app.checks.redis import KIND as REDIS
from app.checks.registry import BY_SCHEME, find_kind
from app.settings.secrets import FileError, read_text


NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
NAME_PROBLEM = (
    "the name must have at most 32 of a-z, 0-9, _ and -, and begin with a letter. Rename it."
)
USED_NAME = "the name is in use. Rename it."

# An unknown option that does not look like this may be a secret, and is not shown.
OPTION = re.compile(r"[a-z_]{1,32}")

REMEDY = "Correct it or remove it."

MAX_FILE_BYTES = 1024 * 1024

# Where tomllib found a mistake. The rest of its message may quote the file.
POSITION = re.compile(r"\(at (line [0-9]+, column [0-9]+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Source:
    """A setting that configures checks.

    Attributes:
        checks: the options of each check by its name, not yet validated.
        kind: the kind of its checks; None if the scheme of the URL selects it.
        defaults: the terms of checks that have none of their own.
        variables: the settings that hold single options, by the names of the options.
    """

    setting: str
    checks: Mapping[str, Any]
    kind: Kind | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def describe(self, name: str, option: str, problem: str) -> str:
        """Return a problem after the setting, the check and the option that it belongs to."""
        problem = problem.replace("NAME_password", default_password(name))
        if option in self.variables:
            return f"{self.variables[option].upper()}: {problem}"
        return f"{self.setting}: {name}: {f'{option}: ' if option else ''}{problem}"


# The checks with settings of their own.
SHORTHANDS: Mapping[str, tuple[Kind, Mapping[str, str]]] = {
    "postgres": (
        POSTGRESQL,
        {
            "url": "database_url",
            "auth": "postgres_auth",
            "depth": "postgres_require",
            "interval": "postgres_check_interval",
            "timeout": "postgres_check_timeout",
        },
    ),
    "redis": (
        REDIS,
        {
            "url": "redis_url",
            "auth": "redis_auth",
            "depth": "redis_require",
            "interval": "redis_check_interval",
            "timeout": "redis_check_timeout",
        },
    ),
}

# The settings with the terms of checks that have none of their own.
GENERAL = {
    "interval": "check_interval",
    "timeout": "check_timeout",
    "failure_threshold": "failure_threshold",
    "success_threshold": "success_threshold",
}

Specs = tuple[CheckSpec[Options], ...]

# Options and what is wrong with them; "" is the check.
Problems = list[tuple[str, str]]

M = TypeVar("M", bound=Terms)


def parse_checks(
    settings: Mapping[str, Any], optional: Collection[str]
) -> tuple[Specs, tuple[str, ...]]:
    """Parse the checks of all sources.

    Args:
        settings: the values of the settings by their names.
        optional: the names in `OPTIONAL_CHECKS`.

    Returns:
        The checks, and every problem with its remedy. A check has the default for an option that
        is wrong, so that the rest of it can be used. One with a wrong name or an unknown kind is
        left out.
    """
    specs = dict[str, CheckSpec[Options]]()
    problems = list[str]()
    general = {term: settings[name] for term, name in GENERAL.items()}
    for source in _read_sources(settings, problems):
        repeated = getattr(source.checks, "repeated", ())
        for number, (name, members) in enumerate(source.checks.items(), 1):
            is_valid = NAME.fullmatch(name)
            spec, found = _parse_check(source, name, members, general, is_optional=name in optional)
            if not is_valid:
                found.insert(0, ("", NAME_PROBLEM))
            elif name in specs or name in repeated:
                found.insert(0, ("", USED_NAME))
            elif spec and (other := _find_shared_secret(spec, specs.values())):
                shared = f"would use the same secret as {other}. Name another one in password."
                found.append(("", shared))
            label = name if is_valid else f"check {number}"
            problems += [source.describe(label, *problem) for problem in found]
            if spec and is_valid:
                specs.setdefault(name, spec)
    return tuple(specs.values()), tuple(problems)


def _read_sources(settings: Mapping[str, Any], problems: list[str]) -> Iterator[Source]:
    """Yield the sources that are set. Append what is wrong with a whole source to *problems*."""
    for name, (kind, variables) in SHORTHANDS.items():
        values = {option: settings[variable] for option, variable in variables.items()}
        if values["url"]:
            members = {option: value for option, value in values.items() if value is not None}
            setting = variables["url"].upper()
            yield Source(setting, {name: members}, kind, variables=variables)
    readers: dict[str, Callable[[str, Any], Source]] = {
        "checks": _read_json,
        "checks_file": partial(_read_toml, problems=problems),
        "http_checks": partial(_read_json, kind=HTTP),
    }
    for name, read in readers.items():
        try:
            if settings[name]:
                yield read(name.upper(), settings[name])
        except ValueError as error:
            problems.append(f"{name.upper()}: {error}")


class JsonObject(dict[str, Any]):
    """An object that knows which of its keys occur more than once."""

    def __init__(self, pairs: Collection[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(key for key, _ in pairs)
        self.repeated = [key for key, count in counts.items() if count > 1]


def _read_json(setting: str, text: str, kind: Kind | None = None) -> Source:
    try:
        checks = json.loads(text, object_pairs_hook=JsonObject)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"invalid JSON at line {error.lineno}, column {error.colno}. Correct it."
        ) from None
    except (ValueError, RecursionError):
        raise ValueError("a number is too long, or the nesting is too deep. Correct it.") from None
    if not isinstance(checks, dict):
        raise ValueError(  # noqa: TRY004 - as for every other problem of a setting
            'must be an object such as {"minio": {"url": "http://minio:9000/"}}. Correct it.'
        )
    return Source(setting, checks, kind)


def _read_toml(setting: str, path: Path, problems: list[str]) -> Source:
    try:
        document = tomllib.loads(read_text(path, MAX_FILE_BYTES, "the checks"))
    except FileError as error:
        raise ValueError(f"{path} {error}") from None
    except (ValueError, RecursionError) as error:
        position = POSITION.search(str(error))
        is_repeated = re.search("twice|overwrite|Duplicate", str(error))
        mistake = "a key or table that occurs twice" if is_repeated else "invalid TOML"
        place = f"at {position[1]}" if position else "in a long number or a deep nesting"
        raise ValueError(f"{path} has {mistake} {place}. Correct it.") from None
    checks, defaults = document.pop("checks", {}), document.pop("defaults", {})
    if document or not isinstance(checks, dict) or not isinstance(defaults, dict):
        raise ValueError(
            f"{path} may contain only the tables [defaults] and [checks.NAME]. Remove the rest."
        )
    terms, found = _validate(Terms, defaults)
    source = Source(setting, checks, defaults=terms.model_dump(exclude_unset=True))
    problems += [source.describe("[defaults]", *problem) for problem in found]
    return source


def _parse_check(
    source: Source, name: str, members: Any, general: Mapping[str, Any], *, is_optional: bool
) -> tuple[CheckSpec[Options] | None, Problems]:
    """Return a check, unless its kind is unknown, and its problems."""
    if not isinstance(members, dict):
        return None, [("", 'must be an object such as {"url": "http://minio:9000/"}. Correct it.')]
    kind = source.kind
    repeated = getattr(members, "repeated", ())
    problems = [("", f"has an option twice{_show(option)}. Keep one.") for option in repeated]
    if getattr(members.get("headers"), "repeated", ()):
        problems.append(("headers", "has a name twice. Keep one."))
    if "url" not in members:
        problems.append(("", "has no url. Add one."))
    else:
        url = members["url"] if isinstance(members["url"], str) else ""
        members = {**members, "url": url}
        if not (kind := kind or find_kind(url)):
            schemes = " or ".join(f"{scheme}://" for scheme in BY_SCHEME)
            problems.append(("url", f"must begin with {schemes}. Correct it."))
    if is_optional and "required" in members:
        problems.append(("required", "contradicts OPTIONAL_CHECKS. Remove one of the two."))
    if not kind:
        return None, problems
    defaults = {**general, **source.defaults} | ({"required": False} if is_optional else {})
    options, found = _validate(kind.options, {**defaults, **members})
    problems += [*found, *options.find_problems()]
    return CheckSpec(name, kind, options, source.setting, source.variables), problems


def _validate(model: type[M], members: Mapping[str, Any]) -> tuple[M, Problems]:
    """Return the options, with the defaults for wrong ones, and the problems."""
    try:
        return model.model_validate(members), []
    except ValidationError as error:
        wrong = {str(found["loc"][0]): found for found in error.errors(include_input=False)}
    valid = {option: value for option, value in members.items() if option not in wrong}
    problems = (pair for found in wrong.items() for pair in _describe(model, *found))
    return model.model_validate(valid), list(dict.fromkeys(problems))


def _describe(model: type[Terms], option: str, details: Any) -> Iterator[tuple[str, str]]:
    if details["type"] == "extra_forbidden":
        known = ", ".join(model.model_fields)
        yield "", f"has an unknown option{_show(option)}. Remove it, or use one of {known}."
    elif details["type"] == "value_error":
        yield from ((option, line) for line in str(details["ctx"]["error"]).splitlines())
    else:
        yield option, f"must be {model.model_fields[option].description or 'text'}. {REMEDY}"


def _show(option: str) -> str:
    return f": {option}" if OPTION.fullmatch(option) else ""


def _find_shared_secret(
    spec: CheckSpec[Options], others: Iterable[CheckSpec[Options]]
) -> str | None:
    """Return the name of another check whose password has the same secret by default."""
    secret, options = default_password(spec.name), spec.options
    if secret not in spec.secret_names or not isinstance(options, StoreOptions) or options.password:
        return None
    needing = (one.name for one in others if secret in one.secret_names)
    return next((name for name in needing if default_password(name) == secret), None)
