"""What `vitals serve` prints about checks that it can't use, in a process of its own.

Starting one takes half a second, so each one gets several mistakes of one family. All others are in
tests/unit/settings/test_configurations.py.
"""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from app.checks.registry import BY_SCHEME
from tests.support.broken_settings import CANARY
from tests.support.devservers import Valkey
from tests.support.ports import free_port
from tests.support.service import on, running
from tests.unit.cli.conftest import Call


TERMS = (
    "required, interval, timeout, failure_threshold, success_threshold, url, ca, certificate, key"
)
NAME = "the name must have at most 32 of a-z, 0-9, _ and -, and begin with a letter. Rename it."
STATUSES = 'a status from 200 to 599, a class such as "2xx", or a list of both'
CREDENTIALS = "contains credentials. Put them in a header, as secret:NAME."
HTTP = "must have the form http://host:port/path or https://host:port/path. Correct it."
REDIS = "must have the form redis://host:port/0, rediss://host:port/0 or unix:///path. Correct it."
USED = "the name is in use. Rename it."


Serve = Callable[..., list[str]]


@pytest.fixture(name="serve")
def _serve(call: Call, tmp_path: Path) -> Serve:
    """Return the lines of a service that can't start, which contain nothing secret."""

    def serve(**settings: str) -> list[str]:
        code, out, err = call("serve", SECRETS_DIR=str(tmp_path), **settings)
        assert (code, out) == (78, "")
        assert CANARY not in err
        assert "Traceback" not in err
        lines = err.splitlines()
        assert all(line.startswith("vitals: ") for line in lines)
        return [line.removeprefix("vitals: ") for line in lines]

    return serve


WRONG_OPTIONS: dict[str, dict[str, object]] = {
    "a": {"url": f"tcp://user:{CANARY}@host:1"},
    "b": {"url": "http://host/", "expect": CANARY, "interval": 0, "timeout": "1"},
    "c": {"url": "redis://host", "auth": CANARY, "depth": CANARY, "password": f"/{CANARY}"},
    "d": {"url": "tcp://host:1", "depth": "query"},
    "e": {"url": f"redis://:{CANARY}@host", "auth": "none"},
    "f": {"required": "yes"},
    CANARY: {"url": "tcp://host:1"},
    "g": {"url": "http://host/", "headers": {"x": f"secret:/{CANARY}"}, "failure_threshold": 21},
}
WRONG_OPTION_LINES = [
    "a: url: must have the form tcp://host:port or tls://host:port. Correct it.",
    "b: interval: must be a number of seconds from 0.01 to 86400. Correct it or remove it.",
    "b: timeout: must be a number of seconds from 0.01 to 86400. Correct it or remove it.",
    f"b: expect: must be {STATUSES}. Correct it or remove it.",
    "c: password: must be the name of a secret, without a path. Correct it or remove it.",
    "c: auth: must be password or none. Correct it or remove it.",
    "c: depth: must be connect, query or writable. Correct it or remove it.",
    f"d: has an unknown option: depth. Remove it, or use one of {TERMS}.",
    "e: url: a password is not allowed in the URL. Put it in the secret e_password.",
    "f: has no url. Add one.",
    "f: required: must be true or false. Correct it or remove it.",
    f"check 7: {NAME}",
    "g: failure_threshold: must be a whole number from 1 to 20. Correct it or remove it.",
    "g: headers: number 1 must have a file name without a path after secret:. Correct it.",
]


def as_toml(checks: dict[str, dict[str, object]]) -> str:
    """Return checks as a file has them. Strings of TOML and JSON are alike."""
    lines = []
    for name, options in checks.items():
        lines.append(f"[checks.{name}]")
        for option, value in options.items():
            inline = "{ x = " + json.dumps(value["x"]) + " }" if isinstance(value, dict) else ""
            lines.append(f"{option} = {inline or json.dumps(value)}")
    return "\n".join(lines)


@pytest.mark.parametrize("source", ["CHECKS", "CHECKS_FILE"])
def test_wrong_options_of_every_check_are_printed(
    serve: Serve, tmp_path: Path, source: str
) -> None:
    """The same for JSON and TOML."""
    (tmp_path / "c_password").write_text("secret")
    value = json.dumps(WRONG_OPTIONS)
    if source == "CHECKS_FILE":
        (file := tmp_path / "checks.toml").write_text(as_toml(WRONG_OPTIONS))
        value = str(file)
    lines = serve(**{source: value})
    assert lines == [f"{source}: {line}" for line in WRONG_OPTION_LINES]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "{file} is missing. Write the checks into it, or mount it."),
        ("loop", "{file} can't be read (Too many levels of symbolic links). Mount a file there."),
        (b"\xff\xfe[\0", "{file} is not UTF-8, but probably UTF-16. Save it as UTF-8."),
        (b"#" * (1024 * 1024 + 1), "{file} holds more than 1 MB. Write only the checks into it."),
        (
            f"[checks.a]\nurl = {CANARY}\n".encode(),
            "{file} has invalid TOML at line 2, column 7. Correct it.",
        ),
    ],
    ids=["missing", "unreadable", "not UTF-8", "too large", "bad TOML"],
)
def test_a_file_that_can_not_be_used_is_printed(
    serve: Serve, tmp_path: Path, content: bytes | str | None, line: str
) -> None:
    """Once, beside a problem of another source, and names in OPTIONAL_CHECKS may be in the file."""
    file = tmp_path / "checks.toml"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content:
        file.symlink_to(file)
    environ = {"CHECKS_FILE": str(file), "CHECKS": '{"b": 1}', "OPTIONAL_CHECKS": "a"}
    assert serve(**environ) == [
        'CHECKS: b: must be an object such as {"url": "http://minio:9000/"}. Correct it.',
        f"CHECKS_FILE: {line.format(file=file)}",
    ]


def test_contradictions_of_several_sources_are_printed(serve: Serve, tmp_path: Path) -> None:
    """Names from two sources, options in two settings, and a name of no check."""
    (tmp_path / "url").write_text(f"postgresql://user:{CANARY}@host/db")
    for name in ("postgres_password", "redis_password"):
        (tmp_path / name).write_text(CANARY)
    file = tmp_path / "checks.toml"
    file.write_text('[checks.redis]\nurl = "tcp://h:1"\n[checks.a]\nurl = "tcp://h:1"\n')
    environ = {
        "REDIS_URL": "redis://host",
        "REDIS_DEPTH": "query",
        "REDIS_REQUIRE": "writable",
        "DATABASE_URL": "postgresql://user@host/db",
        "DATABASE_URL_FILE": str(tmp_path / "url"),
        "CHECKS": '{"a": {"url": "http://host/", "required": true}}',
        "CHECKS_FILE": str(file),
        "HTTP_CHECKS": '{"a": {"url": "http://host/"}, "b": {"url": "tcp://host:1"}}',
        "OPTIONAL_CHECKS": "a, mysql",
        "POSTGRES_AUTH": '"none"',
    }
    assert serve(**environ) == [
        "POSTGRES_AUTH: is in quotes, which are part of the value. Remove them.",
        "DATABASE_URL_FILE: excludes DATABASE_URL. Unset one of the two.",
        "CHECKS: a: required: contradicts OPTIONAL_CHECKS. Remove one of the two.",
        f"CHECKS_FILE: redis: {USED}",
        f"CHECKS_FILE: a: {USED}",
        f"HTTP_CHECKS: a: {USED}",
        f"HTTP_CHECKS: b: url: {HTTP}",
        "OPTIONAL_CHECKS: mysql is not a check. Use postgres or redis or a or b.",
        "REDIS_REQUIRE: is the former name of REDIS_DEPTH. Unset it.",
    ]


def test_wrong_urls_from_secrets_are_printed(serve: Serve, tmp_path: Path) -> None:
    """One that can't be read hides no check from OPTIONAL_CHECKS."""
    for name, url in (
        ("a_url", f"ftp://{CANARY}"),
        ("b_url", f"redis://host/{CANARY}"),
        ("c_url", f"postgresql://{CANARY}@host/db"),
        ("d_url", f"http://user:{CANARY}@host/"),
        ("empty_url", "\n"),
        ("redis", f"redis://{CANARY}@@:host"),
    ):
        (tmp_path / name).write_text(url)
    checks = {name: {"url": f"secret:{name}_url"} for name in ("a", "b", "c", "d", "empty", "gone")}
    environ = {
        "CHECKS": json.dumps(checks),
        "REDIS_URL_FILE": str(tmp_path / "redis"),
        "OPTIONAL_CHECKS": "gone",
    }
    schemes = " or ".join(f"{scheme}://" for scheme in BY_SCHEME)
    assert serve(**environ) == [
        f"REDIS_URL_FILE: {REDIS}",
        f"CHECKS: a: url: the URL in a_url: must begin with {schemes}. Correct it.",
        "CHECKS: b: url: the URL in b_url: the database must be a number. Correct it.",
        "CHECKS: c: url: the URL in c_url: has no password. Add it, or set auth to none.",
        f"CHECKS: d: url: the URL in d_url: {CREDENTIALS}",
        f"empty_url: {tmp_path}/empty_url is empty. Write the secret into it.",
        f"gone_url: {tmp_path}/gone_url is missing. Write the secret into it, or mount it.",
    ]


@pytest.mark.slow
def test_two_hundred_checks_of_one_file_are_served(tmp_path: Path) -> None:
    """Each of them gets its results, and those that pass are counted."""
    closed = free_port()
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
        port = server.getsockname()[1]
        tables = [f"[checks.c{n}]\nurl = 'tcp://127.0.0.1:{port}'" for n in range(199)]
        tables.append(f"[checks.closed]\nurl = 'tcp://127.0.0.1:{closed}'\nrequired = false")
        (file := tmp_path / "checks.toml").write_text("\n".join(tables))
        with running({**on(), "CHECKS_FILE": str(file)}, tmp_path / "log") as service:
            service.until("closed", "refused", 15)
            body = service.ask("/health/ready").json
    assert (body["status"], list(body["checks"]), body["others"]) == ("warn", ["closed"], 199)


@pytest.mark.slow
def test_deprecated_settings_work_and_are_logged(valkey: Valkey, tmp_path: Path) -> None:
    """Each with the name that replaces it."""
    environ = {
        **on(valkey=valkey),
        "REDIS_REQUIRE": "Connect",
        "HTTP_CHECKS": f'{{"a": {{"url": "http://127.0.0.1:{free_port()}/"}}}}',
        "OPTIONAL_CHECKS": "a",
    }
    with running(environ, tmp_path / "log") as service:
        service.until("redis", None, 15)
        service.until("a", "refused", 15)
    lines = map(json.loads, (tmp_path / "log").read_text().splitlines())
    deprecated = {one["setting"]: one for one in lines if one["event"] == "setting deprecated"}
    assert {one["level"] for one in deprecated.values()} == {"warning"}
    assert {name: one["advice"].split(";")[0] for name, one in deprecated.items()} == {
        "HTTP_CHECKS": "deprecated. Rename it to CHECKS",
        "REDIS_REQUIRE": "deprecated. Rename it to REDIS_DEPTH",
    }
