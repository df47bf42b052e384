"""The probe of a URL from a secret, around probes without a network."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from threading import Event

import pytest

from app.checks.kind import CheckSpec, Kind, Resources, StoreOptions
from app.checks.secret_url import SecretUrlProbe, split_password
from app.health import Facts, Reason
from app.health.reasons import Advice
from tests.unit.checks.attempt import failure


@dataclass(slots=True)
class Inner:
    """A probe that fails while its password is wrong."""

    url: str
    password: str
    other: str
    attempts: int = 0
    closed: bool = False
    remark: Advice | None = None

    async def __call__(self) -> None:
        """Count the attempt."""
        self.attempts += 1
        self.remark = Advice("It passes.", "Do nothing.")
        if self.password == "wrong":  # noqa: S105 - not a real one
            raise ConnectionError

    def explain(self, error: BaseException) -> Reason:
        """Return a reason that the network would not have."""
        del error
        return Reason.DENIED

    def facts(self) -> Facts:
        """Return the number of attempts as a lag."""
        return Facts(replication_lag=self.attempts)


@dataclass(slots=True)
class Store:
    """A kind of check that records its probes, and the secrets of a check."""

    opened: list[Inner] = field(default_factory=list)
    secrets: dict[str, str] = field(
        default_factory=lambda: {
            "a_url": "x://user:p%2Fw@host/db",
            "other": "another",
        }
    )
    hangs: Event | None = None

    def read(self, name: str) -> str:
        """Return a secret, and hang before that if the test wants it."""
        if self.hangs:
            self.hangs.wait()
        return self.secrets[name]

    @asynccontextmanager
    async def open(
        self, spec: CheckSpec[StoreOptions], resources: Resources
    ) -> AsyncIterator[Inner]:
        """Provide a probe of the kind."""
        password, other = map(resources.read_secret, (spec.options.password, "other"))
        self.opened.append(inner := Inner(spec.options.url, password, other))
        yield inner
        inner.closed = True

    @property
    def spec(self) -> CheckSpec[StoreOptions]:
        """A check of this kind."""
        kind = Kind("x", ("x",), StoreOptions, self.open)
        options = StoreOptions(url="secret:a_url", password="a_url")  # noqa: S106 - its name
        url_secret, address = "a_url", "x://host/db"
        return CheckSpec("a-b", kind, options, url_secret=url_secret, address=address)


@pytest.fixture(name="store")
def _store() -> Store:
    return Store()


async def test_the_probe_gets_the_url_without_its_password(store: Store) -> None:
    """It reads the password as any other secret. The same probe serves all attempts."""
    async with aclosing(SecretUrlProbe(store.spec, Resources(store.read, 15))) as probe:
        await probe()
        await probe()
        [inner] = store.opened
        assert (inner.url, inner.password, inner.other) == ("x://user@host/db", "p/w", "another")
        assert probe.facts() == Facts(replication_lag=2)
        assert not probe.password_not_requested
        assert probe.remark is inner.remark
    assert inner.closed


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("x://host/db?password=p%2Fw", ("x://host/db?", "p/w")),
        ("x://user@host/db?a=b&password=p%2Fw&c=d", ("x://user@host/db?a=b&c=d", "p/w")),
        ("x://user:old@host/db?password=new", ("x://user@host/db?", "new")),
        ("x://user:old@host/db?password=&a=b", ("x://user@host/db?a=b", "old")),
        ("x://user:p?password=q@host/db", ("x://user:p?", "q@host/db")),
        ("x://host/db?sslpassword=no", ("x://host/db?sslpassword=no", "")),
    ],
)
def test_a_password_in_the_query_comes_first(
    store: Store, url: str, expected: tuple[str, str]
) -> None:
    assert split_password(url, store.spec.kind) == expected


async def test_a_replaced_url_replaces_the_probe(store: Store) -> None:
    """The old one is closed, and the new one has its own reasons and facts."""
    async with aclosing(SecretUrlProbe(store.spec, Resources(store.read, 15))) as probe:
        await probe()
        await probe()
        store.secrets["a_url"] = "X://user:wrong@host:1/db"
        assert await failure(probe) is Reason.DENIED
        old, new = store.opened
        assert (old.closed, new.closed, new.url) == (True, False, "X://user@host:1/db")
        assert probe.facts() == Facts(replication_lag=1)
    assert new.closed


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (None, Reason.AUTH),
        ("y://user:pw@host/db", Reason.MISCONFIGURED),
        ("x://user@host/db", Reason.MISCONFIGURED),
    ],
    ids=["missing", "another scheme", "no password"],
)
@pytest.mark.parametrize("at_start", [True, False])
async def test_a_url_that_can_not_be_used_fails_until_it_is_repaired(
    store: Store, url: str | None, reason: Reason, *, at_start: bool
) -> None:
    """Also if the probe of the kind was never opened."""
    good, bad = store.secrets, {"other": ""} if url is None else store.secrets | {"a_url": url}
    async with aclosing(SecretUrlProbe(store.spec, Resources(store.read, 15))) as probe:
        if not at_start:
            await probe()
        store.secrets = bad
        assert await failure(probe) is reason
        store.secrets = good
        await probe()
    assert [inner.closed for inner in store.opened] == [True]


async def test_a_share_that_hangs_is_a_timeout(store: Store) -> None:
    """The attempt ends in time, and the next one passes when the share is back."""
    async with aclosing(SecretUrlProbe(store.spec, Resources(store.read, 15))) as probe:
        await probe()
        store.hangs = Event()
        assert await failure(probe, within=0.05) is Reason.TIMEOUT
        store.hangs.set()
        async with asyncio.timeout(5):
            await probe()
    assert len(store.opened) == 1
