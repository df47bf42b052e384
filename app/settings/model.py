"""The settings."""

import contextlib
import os
import re
import tempfile
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.settings.checks import (
    MAX_SECONDS,
    MIN_SECONDS,
    SECONDS_RANGE,
    HttpTarget,
    parse_http_checks,
)
from app.settings.secrets import SECRETS, Secret, find_secret
from app.settings.urls import HIGHEST_PORT, parse_postgres_url, parse_redis_url


REMEDY = "Correct it or unset it."

NAME = re.compile(r"[\w.-]+")


def refuse_carriage_return(value: Any, info: ValidationInfo) -> Any:
    """Return the value unless it contains a carriage return, as from a file with CRLF line ends."""
    # JSON may contain line ends between its members.
    if isinstance(value, str) and "\r" in value and info.field_name != "http_checks":
        msg = "contains a carriage return. Save the file that sets it with Unix line ends (LF)."
        raise ValueError(msg)
    return value


def parse_host(text: str) -> str:
    """Return an address in its canonical form, or a name. The name is not resolved."""
    with contextlib.suppress(ValueError):
        return str(ip_address(text))
    if not NAME.fullmatch(text):
        msg = f"must be a name, or an IP address without brackets and port. {REMEDY}"
        raise ValueError(msg)
    return text


def parse_path(value: Path) -> Path:
    """Return the path if it is printable."""
    if not str(value).isprintable():
        msg = "contains a character that is not printable. Remove it."
        raise ValueError(msg)
    return value


def default_file(port: int) -> Path:
    """Return the maintenance file of the instance on a port, if no other is set.

    It is in /tmp if no temporary folder can be written to, such as on a full disk.
    """
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError:
        folder = "/tmp"  # noqa: S108 - the file is only looked for
    return Path(folder, f"vitals-{port}.maintenance")


def lower(value: Any) -> Any:
    """Return a text in lower case, and another value unchanged."""
    return value.lower() if isinstance(value, str) else value


def parse_log_level(value: Any) -> Any:
    """Return the level in lower case. `warn` means `warning`."""
    return {"warn": "warning"}.get(lower(value), lower(value))


ANY_CASE = BeforeValidator(lower)
Auth = Annotated[Literal["password", "none"], ANY_CASE, Field(description="password or none")]
Depth = Annotated[
    Literal["connect", "query", "writable"],
    ANY_CASE,
    Field(description="connect, query or writable"),
]
Details = Annotated[
    Literal["always", "authorized", "never"],
    ANY_CASE,
    Field(description="always, authorized or never"),
]
SECONDS: Any = Field(ge=MIN_SECONDS, le=MAX_SECONDS, description=SECONDS_RANGE)
Seconds = Annotated[float, SECONDS]
OwnSeconds = Annotated[float | None, SECONDS]
Grace = Annotated[float, Field(ge=0, le=3600, description="a number of seconds from 0 to 3600")]
Threshold = Annotated[int, Field(ge=1, le=20, description="a whole number from 1 to 20")]


class Settings(BaseSettings):
    """The settings. Each has its name in the environment in capitals."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    host: Annotated[str, AfterValidator(parse_host)] = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=HIGHEST_PORT, description="a port from 1 to 65535")
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(parse_log_level),
        Field(description="debug, info, warning or error"),
    ] = "info"
    log_format: Annotated[
        Literal["json", "console"] | None, ANY_CASE, Field(description="json or console")
    ] = None
    database_url: Annotated[str, AfterValidator(parse_postgres_url)] | None = None
    redis_url: Annotated[str, AfterValidator(parse_redis_url)] | None = None
    postgres_auth: Auth = "password"
    redis_auth: Auth = "password"
    postgres_require: Depth = "query"
    redis_require: Depth = "query"
    http_checks: str = ""
    optional_checks: str = ""
    check_interval: Seconds = 1
    check_timeout: Seconds = 1
    postgres_check_interval: OwnSeconds = None
    postgres_check_timeout: OwnSeconds = None
    redis_check_interval: OwnSeconds = None
    redis_check_timeout: OwnSeconds = None
    reconnect_interval: Seconds = 15
    failure_threshold: Threshold = 1
    success_threshold: Threshold = 1
    drain_seconds: Grace = 5
    shutdown_seconds: Grace = 3
    health_details: Details = "always"
    maintenance_file: Annotated[Path, AfterValidator(parse_path)] | None = None
    secrets_dir: Annotated[Path, AfterValidator(parse_path)] = Path("/run/secrets")

    _carriage_returns = field_validator("*", mode="before")(refuse_carriage_return)

    @property
    def optional(self) -> frozenset[str]:
        """The names of the optional checks, whose failure only warns."""
        return frozenset(filter(None, map(str.strip, self.optional_checks.split(","))))

    @property
    def maintenance(self) -> Path:
        """The file that takes this instance out of rotation while it exists."""
        return self.maintenance_file or default_file(self.port)

    def secret(self, name: str) -> Secret:
        """Return the file of a secret.

        Raises:
            SecretError: there is more than one.
        """
        # A secret that a header names may have the name of an unrelated variable.
        return find_secret(name, self.secrets_dir, os.environ if name in SECRETS else {})

    @property
    def http_targets(self) -> tuple[HttpTarget, ...]:
        """The HTTP services to check."""
        return parse_http_checks(self.http_checks)[0]

    @property
    def check_schedules(self) -> dict[str, tuple[float, float]]:
        """The interval and the timeout of each check in seconds, its own or the general ones."""
        own = {target.name: (target.interval, target.timeout) for target in self.http_targets}
        if self.database_url:
            own["postgres"] = self.postgres_check_interval, self.postgres_check_timeout
        if self.redis_url:
            own["redis"] = self.redis_check_interval, self.redis_check_timeout
        return {
            name: (interval or self.check_interval, timeout or self.check_timeout)
            for name, (interval, timeout) in own.items()
        }

    @property
    def secret_names(self) -> list[str]:
        """The names of all secrets, needed or not."""
        named = {name for target in self.http_targets for name in target.secrets}
        return sorted(named.union(SECRETS))

    def read_secret(self, name: str) -> str:
        """Read a secret from its file.

        Raises:
            SecretError: it can't be read.
        """
        return self.secret(name).read()

    def auth(self, name: str) -> str | None:
        """Return `password` or `none` for a store, and None for another check."""
        return {"postgres": self.postgres_auth, "redis": self.redis_auth}.get(name)

    def password(
        self, name: str, read: Callable[[str], str] | None = None
    ) -> Callable[[], str] | None:
        """Return a function that reads a store's password, or None if the store needs none."""
        if self.auth(name) == "none":
            return None
        return partial(read or self.read_secret, f"{name}_password")
