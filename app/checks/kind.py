"""What a kind of check consists of, and the options that several kinds share."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.checks.errors import read_credential
from app.checks.network import BlockingCall
from app.checks.tls import TrustStore
from app.checks.urls import find_tls_problems, without_query
from app.health import Probe, Reason


class ExplainingProbe(Probe, Protocol):
    """A probe that explains its own failures."""

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed."""


# A shorter interval would make a check a loop without a pause.
MIN_SECONDS, MAX_SECONDS = 0.01, 86400
SECONDS: Any = Field(
    ge=MIN_SECONDS,
    le=MAX_SECONDS,
    description=f"a number of seconds from {MIN_SECONDS} to {MAX_SECONDS}",
)
Seconds = Annotated[float, SECONDS]
Threshold = Annotated[int, Field(ge=1, le=20, description="a whole number from 1 to 20")]


def lower(value: Any) -> Any:
    """Return a text in lower case, and another value unchanged."""
    return value.lower() if isinstance(value, str) else value


ANY_CASE = BeforeValidator(lower)
Auth = Annotated[Literal["password", "none"], ANY_CASE, Field(description="password or none")]
DEPTH: Any = Field(description="connect, query or writable")
Depth = Annotated[Literal["connect", "query", "writable"], ANY_CASE, DEPTH]

# How a file in the folder of secrets may be named.
SECRET_NAME = r"[A-Za-z0-9_.-]+"  # noqa: S105 - a pattern


class Terms(BaseModel):
    """The options that do not depend on the kind. Error messages quote the descriptions."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)

    required: Annotated[bool, Field(description="true or false")] = True
    interval: Seconds = 1
    timeout: Seconds = 1
    failure_threshold: Threshold = 1
    success_threshold: Threshold = 1


class Options(Terms):
    """The options of a check. Each kind validates the URL, and may add options.

    Attributes:
        url: empty if it was missing or wrong; such a check can't be opened.
    """

    url: str = ""

    def secret_names(self, name: str) -> frozenset[str]:
        """Return the names of the secrets that the check *name* needs."""
        del name
        return frozenset()

    @property
    def key_file(self) -> str | None:
        """The file with the key of the client's certificate; None without one."""
        return None

    def optional_secrets(self, name: str, url: str) -> frozenset[str]:
        """Return the names of the secrets that the check *name* uses if there are any.

        Args:
            url: what is known of a URL in a secret, or else the URL.
        """
        del name, url
        return frozenset()

    def find_problems(self) -> Iterator[tuple[str, str]]:
        """Yield the options that do not fit to the others, each with the problem."""
        return iter(())


FILE: Any = Field(pattern=r"^[^\x00]+$", description="the path of a file, or secret:NAME")
File = Annotated[str, FILE]
TLS_FILES = ("ca", "certificate", "key")
TLS_SCHEMES = ("https", "tls")
NEEDS_TLS = "needs https:// or tls:// in the URL. Correct the URL, or remove the option."


class TlsOptions(Options):
    """The options of a kind whose URL may ask for TLS.

    Attributes:
        ca: the file of the CAs to trust; empty for the system's.
        certificate: the file of the client's certificate.
        key: the file of the certificate's key, if it has one of its own.
    """

    ca: File = ""
    certificate: File = ""
    key: File = ""

    def find_problems(self) -> Iterator[tuple[str, str]]:
        """Yield files that can't be used."""
        files = {name: path for name in TLS_FILES if (path := getattr(self, name))}
        if self.url and not self._has_tls:
            yield from ((name, NEEDS_TLS) for name in files)
        else:
            yield from find_tls_problems(files, TLS_FILES)

    @property
    def key_file(self) -> str | None:
        """The file with the key of the client's certificate; None without one."""
        return self.key or self.certificate or None

    def trust(self, system: TrustStore) -> TrustStore | None:
        """Return the servers to trust, *system* if no file is configured; None without TLS."""
        if not self._has_tls:
            return None
        files = [getattr(self, name) or None for name in TLS_FILES]
        return TrustStore(*files) if any(files) else system

    @property
    def _has_tls(self) -> bool:
        return urlsplit(self.url).scheme in TLS_SCHEMES


class StoreOptions(Options):
    """The options of a store with a password.

    Attributes:
        password: the name of the secret; empty for the name of the check and `_password`.
        auth: `none` if the server wants no password.
    """

    password: Annotated[
        str, Field(pattern=f"^{SECRET_NAME}$", description="the name of a secret, without a path")
    ] = ""
    auth: Auth = "password"

    def secret_names(self, name: str) -> frozenset[str]:
        """Return the name of the password's secret, if there is one."""
        return frozenset({self.password_name(name)} if self.auth == "password" else ())

    def password_name(self, name: str) -> str:
        """Return the name of the password's secret."""
        return self.password or default_password(name)

    def password_reader(
        self, name: str, read_secret: Callable[[str], str]
    ) -> BlockingCall[str] | None:
        """Return an async callable that reads the password, or None if the server wants none."""
        if self.auth == "none":
            return None
        read = partial(read_credential, partial(read_secret, self.password_name(name)))
        return BlockingCall(read, "read a password")


def default_password(name: str) -> str:
    """Return the name of the secret with the password of the check *name*."""
    return f"{name.replace('-', '_')}_password"


T_co = TypeVar("T_co", bound=Options, covariant=True)


@dataclass(frozen=True, slots=True)
class CheckSpec(Generic[T_co]):
    """A configured check.

    Attributes:
        options: its URL, its terms and the options of its kind.
        source: the setting that configures it, such as `CHECKS`.
        variables: the settings that hold single options, by the names of the options.
        url_secret: the name of the secret that holds the URL. The URL of *options* refers to it.
        address: what operators may see of the URL in the secret.
    """

    name: str
    kind: "Kind"
    options: T_co
    source: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    url_secret: str = ""
    address: str = ""

    @property
    def secret_names(self) -> frozenset[str]:
        """The secrets that it needs."""
        return self.options.secret_names(self.name).union(filter(None, [self.url_secret]))

    @property
    def optional_secrets(self) -> frozenset[str]:
        """The secrets that it uses if there are any."""
        return self.options.optional_secrets(self.name, self.address or self.options.url)

    @property
    def target(self) -> str:
        """What operators may see of its URL: no query, and less if the URL is a secret."""
        return self.address or without_query(self.options.url)

    def setting_of(self, option: str) -> str:
        """Return the name of an option as its source spells it."""
        return self.variables[option].upper() if option in self.variables else option


@dataclass(frozen=True, slots=True)
class Resources:
    """What the probes share.

    Attributes:
        read_secret: returns the secret of a name.
        has_secret: returns whether there is a file for an optional secret.
        reconnect_interval: seconds after which a kept connection is replaced.
        trust: the CAs of the system. They take 0.8 MB, so that checks share them.
    """

    read_secret: Callable[[str], str]
    reconnect_interval: float
    trust: TrustStore = field(default_factory=TrustStore)
    has_secret: Callable[[str], bool] = lambda _: False


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of check.

    Attributes:
        name: as the log shows it.
        schemes: of the URLs that select this kind.
        options: validates the options.
        open: opens a probe and closes it at the end. It imports the driver, so that a service
            without such a check does not load it.
        driver: the module that imports the driver. It is loaded on a thread before `open`.
    """

    name: str
    schemes: tuple[str, ...]
    options: type[Options]
    open: Callable[[CheckSpec[Any], Resources], AbstractAsyncContextManager[ExplainingProbe]]
    driver: str = ""
