"""No secret leaves the process, however a check fails. Only operators see locations."""

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
from app.settings.secrets import SECRETS
from tests.service.hostile.echoes import (
    echo_garbled,
    echo_http,
    echo_postgres,
    echo_redis,
    plain_text_only,
)
from tests.support.devservers import Postgres, Valkey
from tests.support.ports import free_port
from tests.support.service import SERVE, UVICORN, VITALS, Service, clean, on, running
from tests.support.tcp_server import tcp_server


# A marker in the middle of each secret, between characters that are often escaped.
CANARY = "C4N4RYBIRD"
# A marker in hosts, users, paths and queries.
PLACE = "PL4CE"
KEY = "secret:stack_auth_secret"
ACCEPTED = ("*/*", "application/health+json", "text/plain", "text/html")
PATHS = [path.replace("{name}", "postgres") for one in ENDPOINTS for path in one.paths]


def secret_of(name: str) -> str:
    """Return the secret with this name."""
    return f"{name[:3]}\"/é%\\ {CANARY}{name} @:?'{'k' * 32}"


def find_canary(text: str) -> list[str]:
    """Return excerpts that hold the marker, in clear, base64 or hexadecimal."""
    needles = [CANARY, CANARY.encode().hex(), CANARY.encode().hex().upper()]
    for before in range(3):
        coded = b64encode(bytes(before) + CANARY.encode()).decode()
        needles.append(coded[4 if before else 0 :][:10])
    return [text[max(0, text.find(one) - 100) :][:200] for one in needles if one in text]


@dataclass(frozen=True)
class Scenario:
    """Failing checks: the settings of the service, and the expected reason of each check."""

    environ: Mapping[str, str]
    reasons: Mapping[str, str]


def http_checks(ports: Mapping[str, int], scheme: str = "http") -> str:
    """Return HTTP_CHECKS with a service on each port, each with a secret header."""
    return json.dumps(
        {
            name: {
                "url": f"{scheme}://127.0.0.1:{port}/{PLACE}path?{PLACE}query",
                "headers": {"x-key": f"Bearer {KEY}"},
            }
            for name, port in ports.items()
        }
    )


def echoing_servers(stack: ExitStack, *_: object) -> Scenario:
    """Return servers that echo secrets in their answers."""
    postgres, redis, echo, garbled = (
        stack.enter_context(tcp_server(one))
        for one in (echo_postgres, echo_redis, echo_http, echo_garbled)
    )
    environ = {
        "DATABASE_URL": f"postgresql://{PLACE}user@127.0.0.1:{postgres}/{PLACE}db",
        "REDIS_URL": f"redis://{PLACE}user@127.0.0.1:{redis}/0",
        "HTTP_CHECKS": http_checks({"echo": echo, "garbled": garbled}),
        "HEALTH_DETAILS": "always",
    }
    reasons = {"postgres": "auth", "redis": "auth", "echo": "http_status", "garbled": "protocol"}
    return Scenario(environ, reasons)


def real_servers(_: ExitStack, postgres: Postgres, valkey: Valkey) -> Scenario:
    """Return real servers with other passwords, and a closed HTTP port."""
    environ = {
        "DATABASE_URL": postgres.url.replace("/postgres", f"/{PLACE}db"),
        "REDIS_URL": valkey.url,
        "HTTP_CHECKS": http_checks({"gone": free_port()}),
        "HEALTH_DETAILS": "authorized",
    }
    return Scenario(environ, {"postgres": "auth", "redis": "auth", "gone": "refused"})


def unreachable_servers(stack: ExitStack, *_: object) -> Scenario:
    """Return an unknown host, and servers without TLS."""
    postgres, redis, plain = (
        stack.enter_context(tcp_server(one))
        for one in (echo_postgres, plain_text_only, plain_text_only)
    )
    environ = {
        "DATABASE_URL": f"postgresql://{PLACE}user@127.0.0.1:{postgres}/{PLACE}db?sslmode=require",
        "REDIS_URL": f"rediss://{PLACE}user@127.0.0.1:{redis}/0",
        "HTTP_CHECKS": json.dumps(
            {
                "nowhere": {"url": f"http://{PLACE}host.invalid/", "headers": {"x-key": KEY}},
                "clear": {"url": f"https://127.0.0.1:{plain}/", "headers": {"x-key": KEY}},
            }
        ),
        "HEALTH_DETAILS": "never",
    }
    reasons = {"nowhere": "dns", "clear": "tls"}
    return Scenario(environ, {**reasons, "postgres": "tls", "redis": "tls"})


@pytest.fixture(
    name="scenario",
    params=[echoing_servers, real_servers, unreachable_servers],
    ids=lambda one: one.__name__,
)
def _scenario(
    request: pytest.FixtureRequest, postgres: Postgres, valkey: Valkey, tmp_path: Path
) -> Iterator[Scenario]:
    """Write a marker into every secret, and start the servers."""
    for name in SECRETS:
        (tmp_path / name).write_text(secret_of(name))
    with ExitStack() as stack:
        scenario: Scenario = request.param(stack, postgres, valkey)
        # On a busy machine each check must still fail for its own reason, not by a timeout.
        patient = {"CHECK_TIMEOUT": "5"}
        common = {**on(), **patient, "SECRETS_DIR": str(tmp_path), "LOG_LEVEL": "debug"}
        yield Scenario({**common, **scenario.environ}, scenario.reasons)


def operator_token() -> str:
    """Return the Authorization header of an operator."""
    return f"Bearer {issue(secret_of('jwt_secret'), SCOPE, 2**31)}"


def read_responses(service: Service, authorization: str | None) -> str:
    """Return all responses of the service to a client, with their headers."""
    output = []
    for path in [*PATHS, "/health/checks/echo", "/openapi.json", "/"]:
        for accept in ACCEPTED:
            headers = {"Accept": accept}
            if authorization:
                headers["Authorization"] = authorization
            reply = service.ask(path, **headers)
            output.append(f"{path} {reply.headers} {reply.body.decode()}")
    return "\n".join(output)


def failed_checks(log: Path) -> dict[str, str]:
    """Return the reason of each failed check, from a log of either format."""
    event = r"check status changed\W+check\W+(\w+).*? \W?reason\W+(\w+)"
    return dict(re.findall(event, log.read_text()))


@pytest.mark.parametrize(
    ("command", "form"), [(SERVE, "json"), (UVICORN, "console")], ids=["serve", "uvicorn"]
)
def test_no_secret_leaves_a_running_service(
    scenario: Scenario, command: tuple[str, ...], form: str, tmp_path: Path
) -> None:
    """No response, metric, page, log or command line holds one. Only operators see locations."""
    with running({**scenario.environ, "LOG_FORMAT": form}, tmp_path / "log", command) as service:
        while failed_checks(service.log).keys() < scenario.reasons.keys():
            time.sleep(0.02)
        public = read_responses(service, None)
        public += read_responses(service, f"Bearer x{CANARY[5:]}.a.b")
        authorized = read_responses(service, operator_token())
        command_line = Path(f"/proc/{service.process.pid}/cmdline").read_text()
        command_output = run_command(scenario.environ, "check", "--url", url(service))
    log = (tmp_path / "log").read_text()
    assert failed_checks(tmp_path / "log").items() >= scenario.reasons.items()
    assert not find_canary(public + authorized + command_line + command_output + log)
    assert PLACE.lower() not in (public + command_line + command_output).lower()
    assert "Traceback" not in log
    are_details_public = scenario.environ["HEALTH_DETAILS"] == "always"
    assert ('"observed_at":"20' in public) == are_details_public


def url(service: Service) -> str:
    """Return the URL of a service."""
    return f"http://127.0.0.1:{service.port}"


def test_the_doctor_shows_no_secret(scenario: Scenario) -> None:
    """Neither its table nor its JSON holds one."""
    output = run_command(scenario.environ, "doctor")
    output += run_command(scenario.environ, "doctor", "--json")
    assert all(name in output for name in scenario.reasons)
    assert not find_canary(output)


def run_command(environ: Mapping[str, str], *arguments: str) -> str:
    """Return what a command writes to standard output and standard error."""
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
def test_a_command_that_refuses_its_settings_shows_no_secret(command: str) -> None:
    """The settings hold credentials where they are not allowed."""
    output = run_command(REFUSED, *command.split())
    assert "DATABASE_URL" in output or command.startswith("probes")
    assert not find_canary(output)
    assert "Traceback" not in output


def test_uvicorn_that_refuses_its_settings_shows_no_secret() -> None:
    """It has its own log."""
    ended = subprocess.run(
        [*UVICORN, str(free_port())],
        env={**clean(os.environ), **REFUSED},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert "DATABASE_URL" in ended.stderr
    assert not find_canary(ended.stdout + ended.stderr)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("before", ["", "a", "a:", "a:b"])
def test_find_canary_finds_every_encoding(before: str) -> None:
    """The other tests depend on it."""
    output = f"{before}{CANARY}, and more"
    assert find_canary(output)
    assert find_canary(output.encode().hex())
    assert find_canary(b64encode(output.encode()).decode())
