"""`vitals serve` and stock uvicorn, as processes of their own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.devservers import Postgres, Valkey
from tests.support.service import SERVE, UVICORN, Service, on, running
from tests.unit.cli.conftest import Call


@pytest.fixture(name="service", scope="module", params=[SERVE, UVICORN], ids=["vitals", "uvicorn"])
def _service(
    request: pytest.FixtureRequest,
    postgres: Postgres,
    valkey: Valkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("logs") / "log"
    with running(on(postgres, valkey), log, request.param) as service:
        service.until("postgres", None, 5)
        service.until("redis", None, 5)
        yield service


def head(answer: bytes) -> str:
    """The status line."""
    return answer.split(b"\r\n")[0].decode()


@pytest.mark.parametrize("path", ["/health", "/health/", "/health/ready", "/readyz", "/healthz/"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    "rest",
    [
        "HTTP/1.0\r\n",
        "HTTP/1.0\r\nHost: anything at all\r\n",
        "HTTP/1.1\r\nHost: 10.0.0.1:8000\r\nConnection: close\r\n",
        "HTTP/1.1\r\nHost: \r\nConnection: close\r\n",
        "HTTP/1.1\r\nConnection: close\r\n",
    ],
)
def test_every_kind_of_request_gets_the_same_code(
    service: Service, path: str, method: str, rest: str
) -> None:
    """For any method, HTTP version and Host, with or without a trailing slash."""
    answer = service.raw(f"{method} {path} {rest}\r\n".encode())
    assert head(answer) == "HTTP/1.1 200 OK"
    assert b"content-length: " in answer
    body = answer.partition(b"\r\n\r\n")[2]
    assert (body == b"") is (method == "HEAD")


def test_all_configuration_problems_are_printed(call: Call, tmp_path: Path) -> None:
    """Exit code 78, one line for each problem, no value and no traceback."""
    canary = "CANARY"
    code, out, err = call(
        "serve",
        DATABASE_URL=f"postgresql://user:{canary}@host/db",
        CHECK_TIMEOUT=canary,
        OPTIONAL_CHECKS="mysql",
        SECRETS_DIR=str(tmp_path),
    )
    assert (code, out) == (78, "")
    assert err.splitlines() == [
        (
            "vitals: CHECK_TIMEOUT: must be a number of seconds from 0.01 to 86400. "
            "Correct it or unset it."
        ),
        (
            "vitals: DATABASE_URL: a password is not allowed in the URL. Put it in the secret "
            "postgres_password."
        ),
        "vitals: OPTIONAL_CHECKS: mysql is not a check. Use postgres.",
        (
            f"vitals: postgres_password: {tmp_path}/postgres_password is missing. "
            "Write the secret into it, or mount it."
        ),
    ]


@pytest.mark.slow
def test_a_misspelled_setting_is_logged(valkey: Valkey, tmp_path: Path) -> None:
    """It never prevents the start, and its value is not logged."""
    environ = {**on(valkey=valkey), "CHECK_INTERVALL": "CANARY"}
    with running(environ, tmp_path / "log") as service:
        service.until("redis", None, 5)
        lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    (warning,) = [line for line in lines if line["event"] == "environment variable unknown"]
    assert warning["level"] == "warning"
    assert (warning["variable"], warning["similar"]) == ("CHECK_INTERVALL", "CHECK_INTERVAL")
    assert "CANARY" not in (tmp_path / "log").read_text()
