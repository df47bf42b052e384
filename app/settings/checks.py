"""The configured checks, parsed from each setting that has some. No message contains a value."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from app.checks.kind import CheckSpec, Kind, Options, StoreOptions, Terms, default_password
from app.checks.registry import BY_SCHEME, find_kind
from app.checks.secret_url import REFERENCE, ensure_password, public_address, split_password
from app.settings.secrets import FileError, SecretError, read_text


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
        problems: what is wrong with the setting as a whole.
        is_readable: whether *checks* has all of its checks.
    """

    setting: str
    checks: Mapping[str, Any]
    kind: Kind | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[str] = ()
    is_readable: bool = True

    def describe(self, name: str, option: str, problem: str) -> str:
        """Return a problem after the setting, the check and the option that it belongs to."""
        problem = problem.replace("NAME_password", default_password(name))
        if option in self.variables:
            return f"{self.variables[option].upper()}: {problem}"
        return f"{self.setting}: {name}: {f'{option}: ' if option else ''}{problem}"


# The checks with settings of their own: by the name of the check, a scheme of its kind, and the
# setting with its URL.
SHORTHANDS = {"postgres": ("postgresql", "database_url"), "redis": ("redis", "redis_url")}

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


class ParsedChecks(NamedTuple):
    """What the settings say about checks.

    Attributes:
        specs: the checks. One with a wrong name, an unknown kind, or a URL in a secret that can't
            be read is left out. Another one has the default for an option that is wrong.
        problems: all of them, each with its remedy, except those of secrets.
        names: of all checks, also of invalid ones; None if a source can't be read.
        secrets: the names of the secrets that the checks need.
    """

    specs: Specs
    problems: tuple[str, ...]
    names: tuple[str, ...] | None
    secrets: frozenset[str]


def parse_checks(
    settings: Mapping[str, Any], optional: Collection[str], read_secret: Callable[[str], str]
) -> ParsedChecks:
    """Parse the checks of all sources.

    Args:
        settings: the values of the settings by their names.
        optional: the names in `OPTIONAL_CHECKS`.
        read_secret: returns the secret of a name, for a URL.
    """
    general = {term: settings[name] for term, name in GENERAL.items()}
    parser = CheckParser(general, optional, read_secret)
    specs = dict[str, CheckSpec[Options]]()
    problems = list[str]()
    sources = list(_read_sources(settings))
    for source in sources:
        problems += source.problems
        repeated = getattr(source.checks, "repeated", ())
        for number, (name, members) in enumerate(source.checks.items(), 1):
            is_valid = NAME.fullmatch(name)
            spec, found = parser.parse(source, name, members)
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
    names = tuple(name for source in sources for name in source.checks)
    return ParsedChecks(
        specs=tuple(specs.values()),
        problems=tuple(problems),
        names=names if all(source.is_readable for source in sources) else None,
        secrets=_find_secrets(sources).union(*(spec.secret_names for spec in specs.values())),
    )


def _read_sources(settings: Mapping[str, Any]) -> Iterator[Source]:
    """Yield the sources that are set."""
    for name, (scheme, url) in SHORTHANDS.items():
        if settings[url] or settings[f"{url}_file"]:
            yield _read_variables(settings, name, scheme, url)
    readers: dict[str, Callable[[str, Any], Source]] = {
        "checks": _read_json,
        "checks_file": _read_toml,
        "http_checks": partial(_read_json, kind=BY_SCHEME["http"]),
    }
    for name, read in readers.items():
        setting = name.upper()
        try:
            if settings[name]:
                yield read(setting, settings[name])
        except ValueError as error:
            yield Source(setting, {}, problems=[f"{setting}: {error}"], is_readable=False)


def _read_variables(settings: Mapping[str, Any], name: str, scheme: str, url: str) -> Source:
    """Return a check with settings of its own."""
    file, former = f"{url}_file", f"{name}_require"
    variables = {
        "url": file if settings[file] else url,
        "auth": f"{name}_auth",
        "depth": former if settings[former] else f"{name}_depth",
        "interval": f"{name}_check_interval",
        "timeout": f"{name}_check_timeout",
    }
    values = {option: settings[variable] for option, variable in variables.items()}
    members = {option: value for option, value in values.items() if value is not None}
    members["url"] = f"secret:{url}" if settings[file] else settings[url]
    excludes = f"{file.upper()}: excludes {url.upper()}. Unset one of the two."
    return Source(
        setting=variables["url"].upper(),
        checks={name: members},
        kind=BY_SCHEME[scheme],
        variables=variables,
        problems=[excludes] if settings[url] and settings[file] else [],
    )


def _find_secrets(sources: Iterable[Source]) -> frozenset[str]:
    """Return the names of the secrets that hold URLs, also if they can't be read."""
    checks = (members for source in sources for members in source.checks.values())
    urls = (members.get("url") for members in checks if isinstance(members, dict))
    found = (REFERENCE.fullmatch(url) for url in urls if isinstance(url, str))
    return frozenset(one[1] for one in found if one)


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


def _read_toml(setting: str, path: Path) -> Source:
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
    problems = [source.describe("[defaults]", *problem) for problem in found]
    return replace(source, problems=problems)


@dataclass(frozen=True, slots=True)
class CheckParser:
    """Validates one check after the other.

    Attributes:
        general: the terms of a check that has none of its own.
        optional: the names in `OPTIONAL_CHECKS`.
        read_secret: returns the secret of a name, for a URL.
    """

    general: Mapping[str, Any]
    optional: Collection[str]
    read_secret: Callable[[str], str]

    def parse(
        self, source: Source, name: str, members: Any
    ) -> tuple[CheckSpec[Options] | None, Problems]:
        """Return a check, unless its kind is unknown, and its problems."""
        if not isinstance(members, dict):
            msg = 'must be an object such as {"url": "http://minio:9000/"}. Correct it.'
            return None, [("", msg)]
        problems = _find_repetitions(members)
        defaults = {**self.general, **source.defaults}
        if name in self.optional:
            defaults["required"] = False
            if "required" in members:
                line = "contradicts OPTIONAL_CHECKS. Remove one of the two."
                problems.append(("required", line))
        try:
            url, secret = self._read_url(members.get("url"))
        except SecretError:
            return None, problems  # the line about the secret comes with the others
        subject = f"the URL in {secret}: " if secret and not source.variables else ""
        kind = source.kind or find_kind(url)
        if "url" not in members:
            problems.append(("", "has no url. Add one."))
        elif not kind:
            schemes = " or ".join(f"{scheme}://" for scheme in BY_SCHEME)
            problems.append(("url", f"{subject}must begin with {schemes}. Correct it."))
        if not kind:
            return None, problems
        url, password = split_password(url, kind) if secret else (url, "")
        given = {"url": url} if "url" in members else {}
        options, found = _validate(kind.options, {**defaults, **members, **given})
        found += options.find_problems()
        spec = CheckSpec(name, kind, options, source.setting, source.variables)
        if secret:
            found += _check_password(spec, password)
            spec = _refer(spec, secret)
        for option, line in found:
            problems.append((option, subject + line if option == "url" else line))
        return spec, problems

    def _read_url(self, url: Any) -> tuple[str, str]:
        """Return a URL, and the name of the secret that holds it; "" if it is literal.

        Raises:
            SecretError: the secret can't be read.
        """
        text = url if isinstance(url, str) else ""
        if reference := REFERENCE.fullmatch(text):
            return self.read_secret(reference[1]), reference[1]
        return text, ""


def _find_repetitions(members: Mapping[str, Any]) -> Problems:
    repeated = getattr(members, "repeated", ())
    problems = [("", f"has an option twice{_show(option)}. Keep one.") for option in repeated]
    if getattr(members.get("headers"), "repeated", ()):
        problems.append(("headers", "has a name twice. Keep one."))
    return problems


def _check_password(spec: CheckSpec[Options], password: str) -> Problems:
    """Return what is wrong with the password of a URL from a secret."""
    problems: Problems = []
    if isinstance(spec.options, StoreOptions) and spec.options.password:
        problems.append(("password", "excludes a URL from a secret, which has it. Remove it."))
    try:
        ensure_password(spec, password)
    except ValueError as error:
        problems += [("url", str(error))] if spec.options.url else []
    return problems


def _refer(spec: CheckSpec[Options], secret: str) -> CheckSpec[Options]:
    """Return the check with a reference to the secret instead of its URL."""
    url = spec.options.url
    options = spec.options.model_copy(update={"url": url and f"secret:{secret}"})
    address = public_address(url, spec.kind)
    return replace(spec, options=options, url_secret=secret, address=address)


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
