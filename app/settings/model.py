"""Everything that can be set."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.settings import http_checks, http_members, store_urls, texts
from app.settings.http_checks import HttpTarget
from app.settings.maintenance_file import default_file
from app.settings.secret_files import SECRETS, Secret, find


Auth = Annotated[Literal["password", "none"], Field(description="password or none")]
Depth = Annotated[
    Literal["connect", "query", "writable"], Field(description="connect, query or writable")
]
Details = Annotated[
    Literal["always", "authorized", "never"], Field(description="always, authorized or never")
]
SECONDS: Any = Field(ge=http_members.LEAST, le=http_members.MOST, description=http_members.SECONDS)
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

    host: Annotated[str, AfterValidator(texts.host)] = "127.0.0.1"
    port: int = Field(
        default=8000, ge=1, le=store_urls.HIGHEST_PORT, description="a port from 1 to 65535"
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(description="debug, info, warning or error"),
    ] = "info"
    log_format: Annotated[
        Literal["json", "console"] | None, Field(description="json or console")
    ] = None
    database_url: Annotated[str, AfterValidator(store_urls.postgres)] | None = None
    redis_url: Annotated[str, AfterValidator(store_urls.redis)] | None = None
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
    maintenance_file: Annotated[Path, AfterValidator(texts.path)] | None = None
    secrets_dir: Annotated[Path, AfterValidator(texts.path)] = Path("/run/secrets")

    _ends = field_validator("*", mode="before")(texts.unix)

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
        return http_checks.read(self.http_checks)[0]

    @property
    def terms(self) -> dict[str, tuple[float, float]]:
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

    def password(
        self, name: str, read: Callable[[str], str] | None = None
    ) -> Callable[[], str] | None:
        """Tell how to read a dependency's password, anew each time; none where it wants none."""
        if getattr(self, f"{name}_auth") == "none":
            return None
        return partial(read or self.read_secret, f"{name}_password")
