"""Everything that can be set."""

import contextlib
import os
import re
import tempfile
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.settings.checks import (
    MAX_SECONDS,
    MIN_SECONDS,
    SECONDS_RANGE,
    HttpTarget,
    read_http_checks,
)
from app.settings.secrets import SECRETS, Secret, find
from app.settings.urls import HIGHEST_PORT, parse_postgres_url, parse_redis_url


NAME = re.compile(r"[\w.-]+")


def refuse_carriage_return(value: Any, info: ValidationInfo) -> Any:
    """Return a value as it is, unless a file with the line ends of Windows has left one in it."""
    # JSON may have them between its members.
    if isinstance(value, str) and "\r" in value and info.field_name != "http_checks":
        msg = "holds a carriage return: save the file that sets it with the line ends of Unix (LF)"
        raise ValueError(msg)
    return value


def parse_host(text: str) -> str:
    """Return an address in its usual form, or a name as it is; it need not be known here."""
    with contextlib.suppress(ValueError):
        return str(ip_address(text))
    if not NAME.fullmatch(text):
        msg = "must be a name, or an IP address without brackets and port: correct it, or unset it"
        raise ValueError(msg)
    return text


def parse_path(value: Path) -> Path:
    """Return a path as it is, if all of it can be seen."""
    if not str(value).isprintable():
        msg = "holds a character that is not printable: remove it"
        raise ValueError(msg)
    return value


def default_file(port: int) -> Path:
    """Name the file of the instance on a port, where none is set.

    In the usual temporary folder where nothing can be written, or the disk is full: there may be no
    file then, but there is nothing wrong either.
    """
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError:
        folder = "/tmp"  # noqa: S108 - nothing is made there
    return Path(folder, f"vitals-{port}.maintenance")


Auth = Annotated[Literal["password", "none"], Field(description="password or none")]
Depth = Annotated[
    Literal["connect", "query", "writable"], Field(description="connect, query or writable")
]
Details = Annotated[
    Literal["always", "authorized", "never"], Field(description="always, authorized or never")
]
SECONDS: Any = Field(ge=MIN_SECONDS, le=MAX_SECONDS, description=SECONDS_RANGE)
Seconds = Annotated[float, SECONDS]
OwnSeconds = Annotated[float | None, SECONDS]
Grace = Annotated[float, Field(ge=0, le=3600, description="a number of seconds from 0 to 3600")]
Threshold = Annotated[int, Field(ge=1, le=20, description="a whole number from 1 to 20")]


class Settings(BaseSettings):
    """Everything that can be set, by the name that it has in the environment, in capitals."""

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
        Field(description="debug, info, warning or error"),
    ] = "info"
    log_format: Annotated[
        Literal["json", "console"] | None, Field(description="json or console")
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

    _ends = field_validator("*", mode="before")(refuse_carriage_return)

    @property
    def optional(self) -> frozenset[str]:
        """The names of the checks whose failure only warns."""
        return frozenset(filter(None, map(str.strip, self.optional_checks.split(","))))

    @property
    def maintenance(self) -> Path:
        """The file that takes this instance out of rotation while it exists."""
        return self.maintenance_file or default_file(self.port)

    def secret(self, name: str) -> Secret:
        """Find the file of a secret.

        Raises:
            SecretError: it is not clear which file it is.

        """
        # Any other file that a header names may be called as any variable is.
        return find(name, self.secrets_dir, os.environ if name in SECRETS else {})

    @property
    def http_targets(self) -> list[HttpTarget]:
        """The HTTP services to watch."""
        return read_http_checks(self.http_checks)[0]

    @property
    def check_schedules(self) -> dict[str, tuple[float, float]]:
        """How often each check is made, and how long it may take; its own terms go before."""
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
        """Every secret that there may be, whether it is needed or not."""
        named = {name for target in self.http_targets for name in target.secrets}
        return sorted(named.union(SECRETS))

    def read_secret(self, name: str) -> str:
        """Read what the file of a secret holds now.

        Raises:
            SecretError: it can't be read.

        """
        return self.secret(name).read()

    def auth(self, name: str) -> str | None:
        """Return `password` or `none` for a store, and None for a check without this setting."""
        return {"postgres": self.postgres_auth, "redis": self.redis_auth}.get(name)

    def password(
        self, name: str, read: Callable[[str], str] | None = None
    ) -> Callable[[], str] | None:
        """Tell how to read a dependency's password, anew each time; none where it wants none."""
        if self.auth(name) == "none":
            return None
        return partial(read or self.read_secret, f"{name}_password")
