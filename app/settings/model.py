"""The settings."""

import contextlib
import os
import re
import socket
import tempfile
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.checks.kind import (
    ANY_CASE,
    DEPTH,
    SECONDS,
    Auth,
    Depth,
    Options,
    Seconds,
    Threshold,
    default_password,
    lower,
)
from app.checks.postgres import PostgresDepth
from app.checks.urls import HIGHEST_PORT
from app.settings.checks import GENERAL, ParsedChecks, Specs, parse_checks
from app.settings.secrets import OPTIONAL_SECRETS, SECRETS, Secret, find_secret, is_quoted


REMEDY = "Correct it or unset it."

NAME = re.compile(r"[\w.-]+")


JSON_FIELDS = {"checks", "http_checks"}


def refuse_file_syntax(value: Any, info: ValidationInfo) -> Any:
    """Return the value unless it contains syntax of the file that sets it.

    Not every program removes the carriage returns of a file with CRLF line ends. `docker run
    --env-file` does not remove quotes.
    """
    text = value if isinstance(value, str) else ""
    # JSON may contain line ends between its members.
    if "\r" in text and info.field_name not in JSON_FIELDS:
        raise ValueError(
            "contains a carriage return. Save the file that sets it with Unix line ends (LF)."
        )
    if is_quoted(text):
        raise ValueError("is in quotes, which are part of the value. Remove them.")
    return value


def parse_host(text: str) -> str:
    """Return an address in its canonical form, or a name. The name is not resolved."""
    with contextlib.suppress(ValueError):
        return str(ip_address(text))
    if not NAME.fullmatch(text):
        raise ValueError(f"must be a name, or an IP address without brackets and port. {REMEDY}")
    return text


def parse_path(value: Path) -> Path:
    """Return the path if it is printable."""
    if not str(value).isprintable():
        raise ValueError("contains a character that is not printable. Remove it.")
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


def parse_log_level(value: Any) -> Any:
    """Return the level in lower case. `warn` means `warning`."""
    return {"warn": "warning"}.get(lower(value), lower(value))


Details = Annotated[
    Literal["always", "authorized", "never"],
    ANY_CASE,
    Field(description="always, authorized or never"),
]
FormerDepth = Annotated[Depth | None, DEPTH]
PrintablePath = Annotated[Path, AfterValidator(parse_path)]
OwnSeconds = Annotated[float | None, SECONDS]
Grace = Annotated[float, Field(ge=0, le=3600, description="a number of seconds from 0 to 3600")]


class Settings(BaseSettings):
    """The settings. Each has its name in the environment in capitals."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    host: Annotated[str, AfterValidator(parse_host)] = "127.0.0.1"
    port: Annotated[
        int,
        # Pydantic would also accept 8_000 and 8000.0, which `vitals check` refuses.
        BeforeValidator(lambda value: value if str(value).strip().isdecimal() else 0),
        Field(ge=1, le=HIGHEST_PORT, description="a port from 1 to 65535"),
    ] = 8000
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(parse_log_level),
        Field(description="debug, info, warning or error"),
    ] = "info"
    log_format: Annotated[
        Literal["json", "console"] | None, ANY_CASE, Field(description="json or console")
    ] = None
    database_url: str | None = None
    redis_url: str | None = None
    database_url_file: PrintablePath | None = None
    redis_url_file: PrintablePath | None = None
    postgres_auth: Auth = "password"
    redis_auth: Auth = "password"
    postgres_depth: PostgresDepth = "query"
    redis_depth: Depth = "query"
    postgres_require: FormerDepth = None
    redis_require: FormerDepth = None
    checks: str = ""
    checks_file: PrintablePath | None = None
    http_checks: str = ""
    optional_checks: Annotated[
        str, Field(pattern=r"^[a-z0-9_,\s-]*$", description="names of checks with commas between")
    ] = ""
    check_interval: Seconds = 1
    check_timeout: Seconds = 1
    postgres_check_interval: OwnSeconds = None
    postgres_check_timeout: OwnSeconds = None
    redis_check_interval: OwnSeconds = None
    redis_check_timeout: OwnSeconds = None
    reconnect_interval: Seconds = 15
    failure_threshold: Threshold = 1
    success_threshold: Threshold = 1
    certificate_warn_days: Annotated[
        float, Field(ge=0, le=3650, description="a number of days from 0 to 3650")
    ] = 14
    keep_alive_seconds: Annotated[
        float, Field(ge=2, le=3600, description="a number of seconds from 2 to 3600")
    ] = 5
    drain_seconds: Grace = 5
    shutdown_seconds: Grace = 3
    health_details: Details = "always"
    maintenance_file: PrintablePath | None = None
    instance_name: Annotated[
        str | None,
        Field(max_length=64, pattern="^[ -~]+$", description="up to 64 ASCII characters"),
    ] = None
    heartbeat_interval: Seconds = 30
    secrets_dir: PrintablePath = Path("/run/secrets")

    _file_syntax = field_validator("*", mode="before")(refuse_file_syntax)

    @property
    def optional(self) -> frozenset[str]:
        """The names of the optional checks, whose failure only warns."""
        return frozenset(filter(None, map(str.strip, self.optional_checks.split(","))))

    @property
    def maintenance(self) -> Path:
        """The file that takes this instance out of rotation while it exists."""
        return self.maintenance_file or default_file(self.port)

    @property
    def instance(self) -> str:
        """The name of this instance."""
        return self.instance_name or socket.gethostname()

    def secret(self, name: str) -> Secret:
        """Return the file of a secret.

        Raises:
            SecretError: there is more than one.
        """
        own = {
            *SECRETS,
            *OPTIONAL_SECRETS,
            *self.optional_secrets,
            *(default_password(spec.name) for spec in self.check_specs),
        }
        return self._find_secret(name, is_own=name in own)

    def _find_secret(self, name: str, *, is_own: bool = False) -> Secret:
        url_files = {"database_url": self.database_url_file, "redis_url": self.redis_url_file}
        if file := url_files.get(name):
            return Secret(name, file, f"{name}_file".upper())
        environ = {variable.upper(): value for variable, value in os.environ.items()}
        if not is_own:  # a check chose the name, which may be that of an unrelated variable
            environ.pop(name.upper(), None)
        return find_secret(name, self.secrets_dir, environ)

    @cached_property
    def parsed_checks(self) -> ParsedChecks:
        """The configured checks, and the problems of their settings."""
        return parse_checks(dict(self), self.optional, self._find_secret)

    @property
    def check_specs(self) -> Specs:
        """The configured checks."""
        return self.parsed_checks.specs

    @property
    def general_terms(self) -> Options:
        """The terms of a check that has none of its own."""
        return Options(**{term: getattr(self, name) for term, name in GENERAL.items()})

    @property
    def optional_secrets(self) -> frozenset[str]:
        """The names of the secrets that checks use if there are any."""
        return frozenset[str]().union(*(spec.optional_secrets for spec in self.check_specs))

    @property
    def secret_names(self) -> list[str]:
        """The names of all secrets, needed or not."""
        names = {*SECRETS, *OPTIONAL_SECRETS, *self.parsed_checks.secrets, *self.optional_secrets}
        return sorted(names)

    def read_secret(self, name: str) -> str:
        """Read a secret from its file.

        Raises:
            SecretError: it can't be read.
        """
        return self.secret(name).read()
