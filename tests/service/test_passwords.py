"""The advice if a server and a setting disagree on whether there is a password."""

import json
from functools import partial
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from app.check_factory import advise, make_check
from app.checks.network import Dialer, explain_network
from app.checks.redis_server import explain_redis
from app.checks.session import Session, SessionProbe
from app.health import Reason
from app.settings import Settings
from tests.support.devservers import Postgres, Valkey
from tests.support.faults.redis import configured
from tests.support.service import Service, on, running
from tests.support.specs import spec_of


DIALER = Dialer("127.0.0.1")

UNWANTED_ADVICE = (
    "It asks for no password, but one is configured here. "
    "Set {}_AUTH=none if that is right; otherwise make the server require the password."
)
MISSING_ADVICE = (
    "It asks for a password, but {0}_AUTH is none. "
    "Unset {0}_AUTH, and put the password into the secret {1}_password."
)


def logged_advice(service: Service) -> list[tuple[str, str]]:
    """Return the checks and the advice in the log."""
    events = map(json.loads, service.log.read_text().splitlines())
    return [
        (one["check"], one["advice"]) for one in events if one["event"] == "check advice available"
    ]


def test_a_password_that_redis_does_not_want_gets_advice(
    own_valkey: Valkey, tmp_path: Path
) -> None:
    """The page and the log name the setting. The log does so once."""
    advice = UNWANTED_ADVICE.format("REDIS")
    with (
        configured(own_valkey, "requirepass", ""),
        running(on(None, own_valkey), tmp_path / "log") as service,
    ):
        service.until("redis", "auth", 10)
        failures = service.ask("/health").json["checks"]["redis"]["failures"]
        while service.ask("/health").json["checks"]["redis"]["failures"] < failures + 2:
            pass
        shown = service.ask("/health?format=html").body.decode()
        assert logged_advice(service) == [("redis", advice)]
    summary, remedy = advice.split(". ", 1)
    assert f"<p><code>auth</code> {summary}.</p>\n<p>{remedy}</p>" in shown


def test_a_missing_password_gets_advice(postgres: Postgres, valkey: Valkey, tmp_path: Path) -> None:
    """The log names the setting and the secret of each store."""
    none = {"POSTGRES_AUTH": "none", "REDIS_AUTH": "none"}
    with running(on(postgres, valkey) | none, tmp_path / "log") as service:
        service.until("postgres", "auth", 10)
        service.until("redis", "auth", 10)
        stores = ("postgres", "redis")
        assert sorted(logged_advice(service)) == [
            (name, MISSING_ADVICE.format(name.upper(), name)) for name in stores
        ]


async def open_session() -> Session:
    """Fail to open a session."""
    raise EOFError


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_password_that_was_not_requested_gets_advice(name: str) -> None:
    """The check passes, and its probe knows that no password was requested."""
    probe = SessionProbe(open_session, partial(explain_network, dialer=DIALER), 15, lambda: 0.0)
    check = make_check(spec_of(name), probe)
    assert check.hint_after(None) is None
    probe.password_not_requested = True
    none = Settings(postgres_auth="none", redis_auth="none")
    assert str(check.hint_after(None)) == UNWANTED_ADVICE.format(name.upper())
    # A failure for another reason has no such advice.
    assert check.hint_after(ConnectionRefusedError()) is None
    assert advise(spec_of(name, none), probe, None) is None
    assert make_check(spec_of("payments"), probe).hint_after(None) is None


@pytest.mark.parametrize(
    "message",
    [
        "AUTH <password> called without any password configured for the default user. Are you ...",
        "ERR AUTH <password> called without any password configured for the default user.",
        "Client sent AUTH, but no password is set",
    ],
)
def test_each_refusal_of_an_unwanted_password_gets_advice(message: str) -> None:
    """Redis has had another message since version 6. redis-py may remove its prefix."""
    error = ResponseError(message)
    assert explain_redis(error, DIALER) is Reason.AUTH
    probe = SessionProbe(open_session, partial(explain_network, dialer=DIALER), 15, lambda: 0.0)
    assert str(advise(spec_of("redis"), probe, error)) == UNWANTED_ADVICE.format("REDIS")
