"""The configured checks, parsed from each setting that has some. No message contains a value."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from app.checks.kind import (
    TLS_FILES,
    CheckSpec,
    Options,
    StoreOptions,
    Terms,
    default_password,
)
from app.checks.registry import BY_SCHEME, find_kind
from app.checks.secret_url import REFERENCE, ensure_password, refer, split_password
from app.checks.urls import OPTION
from app.settings.secrets import Secret, SecretError
from app.settings.sources import Source, read_sources


NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
NAME_PROBLEM = (
    "the name must have at most 32 of a-z, 0-9, _ and -, and begin with a letter. Rename it."
)
USED_NAME = "the name is in use. Rename it."

REMEDY = "Correct it or remove it."

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
        other_terms: of the checks that are left out.
    """

    specs: Specs
    problems: tuple[str, ...]
    names: tuple[str, ...] | None
    secrets: frozenset[str]
    other_terms: tuple[Terms, ...]


def parse_checks(
    settings: Mapping[str, Any], optional: Collection[str], find_secret: Callable[[str], Secret]
) -> ParsedChecks:
    """Parse the checks of all sources.

    Args:
        settings: the values of the settings by their names.
        optional: the names in `OPTIONAL_CHECKS`.
        find_secret: returns the file of a secret, for a URL or a certificate.
    """
    specs = dict[str, CheckSpec[Options]]()
    problems, secrets, other_terms = list[str](), set[str](), list[Terms]()

    def find(secret: str) -> Secret:
        secrets.add(secret)
        return find_secret(secret)

    general = {term: settings[name] for term, name in GENERAL.items()}
    sources = list(read_sources(settings))
    for source in sources:
        terms, found = _validate(Terms, source.defaults)
        problems += [source.problem] if source.problem else []
        problems += [source.describe("[defaults]", *problem) for problem in found]
        defaults = general | terms.model_dump(exclude_unset=True)
        repeated = getattr(source.checks, "repeated", ())
        for number, (name, members) in enumerate(source.checks.items(), 1):
            is_valid, is_optional = NAME.fullmatch(name), name in optional
            given = defaults | {"required": False} if is_optional else defaults
            spec, found = _parse_check(source, name, members, given, find)
            if not spec and isinstance(members, dict):
                own = {term: members[term] for term in Terms.model_fields if term in members}
                terms, wrong = _validate(Terms, {**given, **own})
                other_terms.append(terms)
                found += wrong
            if is_optional and isinstance(members, dict) and "required" in members:
                found.append(("required", "contradicts OPTIONAL_CHECKS. Remove one of the two."))
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
        secrets=frozenset(secrets).union(*(spec.secret_names for spec in specs.values())),
        other_terms=tuple(other_terms),
    )


def _parse_check(
    source: Source,
    name: str,
    members: Any,
    defaults: Mapping[str, Any],
    find_secret: Callable[[str], Secret],
) -> tuple[CheckSpec[Options] | None, Problems]:
    """Return a check, unless its kind is unknown, and its problems."""
    if not isinstance(members, dict):
        return None, [("", 'must be an object such as {"url": "http://minio:9000/"}. Correct it.')]
    problems = _find_repetitions(members)
    url = members["url"] if isinstance(members.get("url"), str) else ""
    reference = REFERENCE.fullmatch(url)
    subject = f"the URL in {reference[1]}: " if reference and not source.variables else ""
    try:
        url = find_secret(reference[1]).read() if reference else url
    except SecretError:
        return None, problems  # the line about the secret comes with the others
    kind = source.kind or find_kind(url)
    if "url" not in members:
        problems.append(("", "has no url. Add one."))
    elif not kind:
        schemes = " or ".join(f"{scheme}://" for scheme in BY_SCHEME)
        other = "" if reference else ", or be secret:NAME"
        problems.append(("url", f"{subject}must begin with {schemes}{other}. Correct it."))
    if not kind:
        return None, problems
    url, password = split_password(url, kind) if reference else (url, "")
    given = {"url": url} if "url" in members else {}
    files = _find_files(members, find_secret)
    options, found = _validate(kind.options, {**defaults, **files, **given})
    found += options.find_problems()
    spec = CheckSpec(name, kind, options, source.setting, source.variables)
    if reference:
        found += _check_password(spec, password)
        spec = refer(spec, reference[1])
    problems += [(option, (subject if option == "url" else "") + line) for option, line in found]
    return spec, problems


def _find_files(
    members: Mapping[str, Any], find_secret: Callable[[str], Secret]
) -> Mapping[str, Any]:
    """Return the options with the paths of the secrets that they name as files.

    If one can't be read, return those without files: the line about it comes with the others.
    """
    named = {option: REFERENCE.fullmatch(str(members.get(option))) for option in TLS_FILES}
    try:
        found = {option: find_secret(name[1]) for option, name in named.items() if name}
        for secret in found.values():
            secret.read()
    except SecretError:
        return {option: value for option, value in members.items() if option not in TLS_FILES}
    return {**members, **{option: str(secret.path) for option, secret in found.items()}}


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


def _validate(model: type[M], members: Mapping[str, Any]) -> tuple[M, Problems]:
    """Return the options, with the defaults for wrong ones, and the problems."""
    # JSON may contain half of a surrogate pair. Pydantic would not name the option then.
    members = {name.encode(errors="replace").decode(): value for name, value in members.items()}
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
    # An option that does not look like one may be a secret.
    return f": {option}" if OPTION.fullmatch(option) else ""


def _find_shared_secret(
    spec: CheckSpec[Options], others: Iterable[CheckSpec[Options]]
) -> str | None:
    """Return the name of another check from whose name the same secret follows."""
    implied = _imply_secrets(spec)
    return next((one.name for one in others if implied & _imply_secrets(one)), None)


def _imply_secrets(spec: CheckSpec[Options]) -> frozenset[str]:
    """Return the secrets whose names follow from that of the check."""
    named = {spec.options.password} if isinstance(spec.options, StoreOptions) else set()
    own = {default_password(spec.name)} & spec.secret_names - named
    return spec.optional_secrets | own
