"""`vitals serve` and stock uvicorn, as processes of their own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.devservers import Postgres, Valkey
from tests.service import ROOT, SERVE, UVICORN, VITALS, Service, clean, on, running


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
def test_every_prober_gets_the_same_code(
    service: Service, path: str, method: str, rest: str
) -> None:
    """Method, version of HTTP, Host and a trailing slash change nothing."""
    answer = service.raw(f"{method} {path} {rest}\r\n".encode())
    assert head(answer) == "HTTP/1.1 200 OK"
    assert b"content-length: " in answer
    body = answer.partition(b"\r\n\r\n")[2]
    assert (body == b"") is (method == "HEAD")


def test_a_bad_configuration_is_told_line_by_line(tmp_path: Path) -> None:
    """Exit code 78, every problem at once, no value and no traceback."""
    canary = "CANARY"
    result = subprocess.run(
        SERVE,
        cwd=ROOT,
        env={
            **clean(os.environ),
            "DATABASE_URL": f"postgresql://user:{canary}@host/db",
            "CHECK_TIMEOUT": canary,
            "OPTIONAL_CHECKS": "mysql",
            "SECRETS_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 78
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "vitals: DATABASE_URL holds a password: put it into the secret postgres_password",
        (
            "vitals: CHECK_TIMEOUT must be a number of seconds from 0.01 to 86400: "
            "correct it, or unset it"
        ),
        "vitals: OPTIONAL_CHECKS names mysql, which is not a check: postgres",
        (
            f"vitals: postgres_password: {tmp_path}/postgres_password is missing: "
            "write the secret into it, or mount it"
        ),
    ]


def test_help_tells_the_commands() -> None:
    """`vitals` alone shows what there is."""
    result = subprocess.run(
        [*VITALS, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "serve" in result.stdout
    assert "dev" in result.stdout
