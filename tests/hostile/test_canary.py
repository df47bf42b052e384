"""No secret leaves the process, however it fails; no place does to those who may not know it."""

import json
import os
import re
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.api.routes import ENDPOINTS
from app.auth import SCOPE, issue
from app.devservers import Postgres, Valkey
from app.settings.secrets import SECRETS
from tests.hostile import echoes
from tests.ports import free_port
from tests.service import SERVE, UVICORN, VITALS, Service, clean, on, running


# In the middle of each secret, between what is quoted differently everywhere.
CANARY = "C4N4RYBIRD"
PLACE = "PL4CE"
KEY = "secret:stack_auth_secret"
ACCEPTED = ("*/*", "application/health+json", "text/plain", "text/html")
PATHS = [path.replace("{name}", "postgres") for one in ENDPOINTS for path in one.paths]


def word(name: str) -> str:
    """The secret of a name."""
    return f"{name[:3]}\"/é%\\ {CANARY}{name} @:?'{'k' * 32}"


def sightings(text: str) -> list[str]:
    """Where a canary sings, in clear or in base64 or hexadecimal, with what stands before."""
    songs = [CANARY, CANARY.encode().hex(), CANARY.encode().hex().upper()]
    for before in range(3):
        coded = b64encode(bytes(before) + CANARY.encode()).decode()
        songs.append(coded[4 if before else 0 :][:10])
    return [text[max(0, text.find(one) - 100) :][:200] for one in songs if one in text]


@dataclass(frozen=True)
class Row:
    """A way to fail: what the service is told, and the reason of each check."""

    environ: Mapping[str, str]
    reasons: Mapping[str, str]


def http_checks(ports: Mapping[str, int], scheme: str = "http") -> str:
    """Watch a service on each port, with a secret header."""
    return json.dumps(
        {
            name: {
                "url": f"{scheme}://127.0.0.1:{port}/{PLACE}path?{PLACE}query",
                "headers": {"x-key": f"Bearer {KEY}"},
            }
            for name, port in ports.items()
        }
    )


def echoed(stack: ExitStack, *_: object) -> Row:
    """Every server quotes what it was told, in its refusal."""
    postgres, redis, told, garbled = (
        stack.enter_context(echoes.echoing(one))
        for one in (
            echoes.EchoingPostgres,
            echoes.EchoingRedis,
            echoes.EchoingHttp,
            echoes.GarbledHttp,
        )
    )
    environ = {
        "DATABASE_URL": f"postgresql://{PLACE}user@127.0.0.1:{postgres}/{PLACE}db",
        "REDIS_URL": f"redis://{PLACE}user@127.0.0.1:{redis}/0",
        "HTTP_CHECKS": http_checks({"told": told, "garbled": garbled}),
        "HEALTH_DETAILS": "always",
    }
    reasons = {"postgres": "auth", "redis": "auth", "told": "http_status", "garbled": "protocol"}
    return Row(environ, reasons)


def refused(_: ExitStack, postgres: Postgres, valkey: Valkey) -> Row:
    """Real servers have other passwords, and nobody listens to HTTP."""
    environ = {
        "DATABASE_URL": postgres.url.replace("/postgres", f"/{PLACE}db"),
        "REDIS_URL": valkey.url,
        "HTTP_CHECKS": http_checks({"gone": free_port()}),
        "HEALTH_DETAILS": "authorized",
    }
    return Row(environ, {"postgres": "auth", "redis": "auth", "gone": "refused"})


def astray(stack: ExitStack, *_: object) -> Row:
    """A name that there is not, TLS where there is none, a secret that no header may hold."""
    postgres, redis, blunt = (
        stack.enter_context(echoes.echoing(one))
        for one in (echoes.EchoingPostgres, echoes.Blunt, echoes.Blunt)
    )
    environ = {
        "DATABASE_URL": f"postgresql://{PLACE}user@127.0.0.1:{postgres}/{PLACE}db?sslmode=require",
        "REDIS_URL": f"rediss://{PLACE}user@127.0.0.1:{redis}/0",
        "HTTP_CHECKS": json.dumps(
            {
                "nowhere": {"url": f"http://{PLACE}host.invalid/", "headers": {"x-key": KEY}},
                "clear": {"url": f"https://127.0.0.1:{blunt}/", "headers": {"x-key": KEY}},
                "unsendable": {
                    "url": f"http://127.0.0.1:{blunt}/",
                    "headers": {"x-key": "secret:minio_password"},
                },
            }
        ),
        "HEALTH_DETAILS": "never",
    }
    reasons = {"nowhere": "dns", "clear": "tls", "unsendable": "auth"}
    return Row(environ, {**reasons, "postgres": "tls", "redis": "tls"})


@pytest.fixture(name="row", params=[echoed, refused, astray], ids=lambda one: one.__name__)
def _row(
    request: pytest.FixtureRequest, postgres: Postgres, valkey: Valkey, tmp_path: Path
) -> Iterator[Row]:
    """Set the scene, with a canary in every secret."""
    for name in SECRETS:
        (tmp_path / name).write_text(word(name))
    (tmp_path / "minio_password").write_text(word("minio\0\npassword"))
    with ExitStack() as stack:
        row: Row = request.param(stack, postgres, valkey)
        # Each is to fail for its reason at once, however busy who answers is.
        patient = {"CHECK_TIMEOUT": "5"}
        common = {**on(), **patient, "SECRETS_DIR": str(tmp_path), "LOG_LEVEL": "debug"}
        yield Row({**common, **row.environ}, row.reasons)


def operator() -> str:
    """A good token."""
    return f"Bearer {issue(word('jwt_secret'), SCOPE, 2**31)}"


def answers(service: Service, authorization: str | None) -> str:
    """All that the service tells whoever shows this, headers included."""
    told = []
    for path in [*PATHS, "/health/checks/told", "/openapi.json", "/"]:
        for accept in ACCEPTED:
            headers = {"Accept": accept}
            if authorization:
                headers["Authorization"] = authorization
            reply = service.ask(path, **headers)
            told.append(f"{path} {reply.headers} {reply.body.decode()}")
    return "\n".join(told)


def failed(log: Path) -> dict[str, str]:
    """The reasons for which checks have turned, by a log for programs or for people."""
    turned = r"check status changed\W+check\W+(\w+).*? \W?reason\W+(\w+)"
    return dict(re.findall(turned, log.read_text()))


@pytest.mark.parametrize(
    ("command", "form"), [(SERVE, "json"), (UVICORN, "console")], ids=["serve", "uvicorn"]
)
def test_no_canary_is_heard(row: Row, command: tuple[str, ...], form: str, tmp_path: Path) -> None:
    """In no answer, metric, page, log or command line; places are told to operators alone."""
    with running({**row.environ, "LOG_FORMAT": form}, tmp_path / "log", command) as service:
        while failed(service.log).keys() < row.reasons.keys():
            time.sleep(0.02)
        trust_all_clients = answers(service, None) + answers(service, f"Bearer x{CANARY[5:]}.a.b")
        operators = answers(service, operator())
        seen = Path(f"/proc/{service.process.pid}/cmdline").read_text()
        place = seen + subprocess_told(row.environ, "check", "--url", url(service))
    log = (tmp_path / "log").read_text()
    assert failed(tmp_path / "log").items() >= row.reasons.items()
    assert not sightings(trust_all_clients + operators + place + log)
    assert PLACE.lower() not in (trust_all_clients + place).lower()
    assert "Traceback" not in log
    shown = row.environ["HEALTH_DETAILS"] == "always"
    assert ('"observed_at":"20' in trust_all_clients) == shown


def url(service: Service) -> str:
    """Where a service is asked."""
    return f"http://127.0.0.1:{service.port}"


def test_no_canary_is_heard_of_the_doctor(row: Row) -> None:
    """Nor in its table and its JSON."""
    told = subprocess_told(row.environ, "doctor") + subprocess_told(row.environ, "doctor", "--json")
    assert all(name in told for name in row.reasons)
    assert not sightings(told)


def subprocess_told(environ: Mapping[str, str], *arguments: str) -> str:
    """What a command tells, on both outputs."""
    ended = subprocess.run(
        [*VITALS, *arguments],
        env={**clean(os.environ), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return ended.stdout + ended.stderr


REFUSED = {
    "DATABASE_URL": f"postgresql://u:{CANARY}@host/db",
    "REDIS_URL": f"redis://:{CANARY}@host:6379/0?password={CANARY}",
    "HTTP_CHECKS": json.dumps(
        {"a": {"url": f"http://u:{CANARY}@h/"}, "b": {"url": "http://h/", "headers": {"a": 1}}}
    ),
    "POSTGRES_PASSWORD": CANARY,
    "JWT_SECRET": CANARY,
    "PORT": CANARY,
    "LOG_LEVEL": CANARY,
}


@pytest.mark.parametrize("command", ["serve", "doctor", "doctor --json", "probes haproxy"])
def test_no_canary_is_heard_in_a_refusal(command: str) -> None:
    """Of credentials where they have no place."""
    told = subprocess_told(REFUSED, *command.split())
    assert "DATABASE_URL" in told or command.startswith("probes")
    assert not sightings(told)
    assert "Traceback" not in told


def test_stock_uvicorn_refuses_as_discreetly() -> None:
    """It has a log of its own."""
    ended = subprocess.run(
        [*UVICORN, str(free_port())],
        env={**clean(os.environ), **REFUSED},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert "DATABASE_URL" in ended.stderr
    assert not sightings(ended.stdout + ended.stderr)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("before", ["", "a", "a:", "a:b"])
def test_a_canary_would_be_heard(before: str) -> None:
    """In clear, and in what hides it from the eye alone."""
    told = f"{before}{CANARY}, and on"
    assert sightings(told)
    assert sightings(told.encode().hex())
    assert sightings(b64encode(told.encode()).decode())
