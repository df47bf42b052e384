"""The settings that configure checks, before their checks are validated."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.checks.kind import Kind, default_password
from app.checks.registry import BY_SCHEME
from app.settings.secrets import FileError, read_text


MAX_FILE_BYTES = 1024 * 1024

# Where tomllib found a mistake. The rest of its message may quote the file.
POSITION = re.compile(r"\(at (line [0-9]+, column [0-9]+|end of document)\)$")

# The checks with settings of their own: by the name of the check, a scheme of its kind, and the
# setting with its URL.
SHORTHANDS = {"postgres": ("postgresql", "database_url"), "redis": ("redis", "redis_url")}

# The settings with several checks.
TABLES = ("checks", "checks_file", "http_checks")


@dataclass(frozen=True, slots=True)
class Source:
    """A setting that configures checks.

    Attributes:
        checks: the options of each check by its name.
        kind: the kind of its checks; None if the scheme of the URL selects it.
        defaults: the terms of checks that have none of their own.
        variables: the settings that hold single options, by the names of the options.
        problem: what is wrong with the setting as a whole.
        is_readable: whether *checks* has all of its checks.
    """

    setting: str
    checks: Mapping[str, Any]
    kind: Kind | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    is_readable: bool = True

    def describe(self, name: str, option: str, problem: str) -> str:
        """Return a problem after the setting, the check and the option that it belongs to."""
        problem = problem.replace("NAME_password", default_password(name))
        if option in self.variables:
            return f"{self.variables[option].upper()}: {problem}"
        return f"{self.setting}: {name}: {f'{option}: ' if option else ''}{problem}"


def read_sources(settings: Mapping[str, Any]) -> Iterator[Source]:
    """Yield the sources that are set, from the values of the settings by their names."""
    for name, (scheme, url) in SHORTHANDS.items():
        if settings[url] or settings[f"{url}_file"]:
            yield _read_variables(settings, name, scheme, url)
    for name in TABLES:
        if settings[name]:
            yield _read_table(name, settings[name])


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
    problem = excludes if settings[url] and settings[file] else ""
    setting = variables["url"].upper()
    return Source(setting, {name: members}, BY_SCHEME[scheme], {}, variables, problem)


def _read_table(name: str, value: Any) -> Source:
    """Return the checks of a setting with several of them."""
    setting, kind = name.upper(), BY_SCHEME["http"] if name == "http_checks" else None
    try:
        checks, defaults = _read_toml(value) if name == "checks_file" else (_read_json(value), {})
    except ValueError as error:
        return Source(setting, {}, problem=f"{setting}: {error}", is_readable=False)
    return Source(setting, checks, kind, defaults)


class JsonObject(dict[str, Any]):
    """An object that knows which of its keys occur more than once."""

    def __init__(self, pairs: Collection[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(key for key, _ in pairs)
        self.repeated = [key for key, count in counts.items() if count > 1]


def _read_json(text: str) -> JsonObject:
    try:
        checks = json.loads(text, object_pairs_hook=JsonObject)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"invalid JSON at {place}. Correct it.") from None
    except (ValueError, RecursionError):
        raise ValueError("a number is too long, or the nesting is too deep. Correct it.") from None
    if isinstance(checks, JsonObject):
        return checks
    raise ValueError(
        'must be an object such as {"minio": {"url": "http://minio:9000/"}}. Correct it.'
    )


def _read_toml(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the checks and the defaults of a file."""
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
    tables = document.pop("checks", {}), document.pop("defaults", {})
    if document or not all(isinstance(table, dict) for table in tables):
        allowed = "the tables [defaults] and [checks.NAME]"
        raise ValueError(f"{path} may contain only {allowed}. Remove the rest.")
    return tables
