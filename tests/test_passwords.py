"""What is advised, and where, if a server and a setting disagree on whether there is a password."""

import json
from functools import partial
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from app.check_factory import advise, make_check
from app.checks.network import Dialer, explain_network
from app.checks.redis import explain_redis
from app.checks.session import Session, SessionProbe
from app.devservers import Postgres, Valkey
from app.health import Reason
from app.settings import Settings
from tests.faults.redis import configured
from tests.service import Service, on, running


DIALER = Dialer("127.0.0.1")

UNWANTED = (
    "It asks for no password, but one is configured here. "
    "Set {}_AUTH=none if that is right; otherwise make the server require the password."
)
WANTED = (
    "It asks for a password, but {0}_AUTH is none. "
    "Unset {0}_AUTH, and put the password into the secret {1}_password."
)


def advised(service: Service) -> list[tuple[str, str]]:
    """Return each check and advice that the log has."""
    events = map(json.loads, service.log.read_text().splitlines())
    return [
        (one["check"], one["advice"]) for one in events if one["event"] == "check advice available"
    ]


def test_a_password_that_redis_does_not_want(own_valkey: Valkey, tmp_path: Path) -> None:
    """The page names the setting, and so does the log, once however often Redis is asked."""
    advice = UNWANTED.format("REDIS")
    with (
        configured(own_valkey, "requirepass", ""),
        running(on(None, own_valkey), tmp_path / "log") as service,
    ):
        service.until("redis", "auth", 10)
        failures = service.ask("/health").json["checks"]["redis"]["failures"]
        while service.ask("/health").json["checks"]["redis"]["failures"] < failures + 2:
            pass
        shown = service.ask("/health?format=html").body.decode()
        assert advised(service) == [("redis", advice)]
    words, remedy = advice.split(". ", 1)
    assert f"<p><code>auth</code> {words}.</p>\n<p>{remedy}</p>" in shown


def test_a_password_that_is_wanted_of_a_check_without(
    postgres: Postgres, valkey: Valkey, tmp_path: Path
) -> None:
    """The log names the setting of each store, and the secret."""
    none = {"POSTGRES_AUTH": "none", "REDIS_AUTH": "none"}
    with running(on(postgres, valkey) | none, tmp_path / "log") as service:
        service.until("postgres", "auth", 10)
        service.until("redis", "auth", 10)
        stores = ("postgres", "redis")
        assert sorted(advised(service)) == [
            (name, WANTED.format(name.upper(), name)) for name in stores
        ]


async def opened() -> Session:
    """Fail to open a session."""
    raise EOFError


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_password_that_was_never_asked_for(name: str) -> None:
    """A check that passes has the advice too, where its session says so."""
    probe = SessionProbe(opened, partial(explain_network, dialer=DIALER), 15, lambda: 0.0)
    check = make_check(name, probe, Settings())
    assert check.hint_after(None) is None
    probe.password_not_requested = True
    assert str(check.hint_after(None)) == UNWANTED.format(name.upper())
    # Another failure is the news.
    assert check.hint_after(ConnectionRefusedError()) is None
    assert advise(name, probe, "none", None) is None
    assert make_check("payments", probe, Settings()).hint_after(None) is None


@pytest.mark.parametrize(
    "message",
    [
        "AUTH <password> called without any password configured for the default user. Are you ...",
        "ERR AUTH <password> called without any password configured for the default user.",
        "Client sent AUTH, but no password is set",
    ],
)
def test_how_servers_refuse_a_password_that_they_do_not_want(message: str) -> None:
    """Since Redis 6, as it is on the wire, and before; whatever follows."""
    error = ResponseError(message)
    assert explain_redis(error, DIALER) is Reason.AUTH
    probe = SessionProbe(opened, partial(explain_network, dialer=DIALER), 15, lambda: 0.0)
    assert str(advise("redis", probe, "password", error)) == UNWANTED.format("REDIS")
