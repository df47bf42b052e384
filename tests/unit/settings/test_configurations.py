"""Checks from every source: which are accepted, and the lines that report the others."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.checks.kind import StoreOptions
from app.settings import ConfigurationError, load
from app.settings.loading import find_deprecated
from tests.support.broken_settings import CANARY
from tests.support.service import ROOT


URL = "http://host/"
TERMS = "required, interval, timeout, failure_threshold, success_threshold"
SCHEMES = (
    "postgres:// or postgresql:// or postgresql+DRIVER:// or redis:// or rediss:// or unix:// or "
    "redis+cluster:// or rediss+cluster:// or redis+sentinel:// or rediss+sentinel:// or "
    "http:// or https:// or tcp:// or tls://"
)
FILES = "ca, certificate, key"
SECONDS = "a number of seconds from 0.01 to 86400"
STATUSES = 'a status from 200 to 599, a class such as "2xx", or a list of both'
THRESHOLD = "a whole number from 1 to 20"
USED = "the name is in use. Rename it."
PASSWORD = "a password is not allowed in the URL. Put it in the secret"  # noqa: S105 - a message


def checks(**members: Any) -> dict[str, str]:
    """Return CHECKS with a check of these members."""
    return {"CHECKS": json.dumps({"a": members})}


@pytest.fixture(name="configured")
def _configured(environ: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Unset all sources."""
    environ.delenv("DATABASE_URL")
    environ.delenv("REDIS_URL")
    return environ


def write(folder: Path, toml: str | bytes) -> str:
    """Write a file for CHECKS_FILE, and return its path."""
    file = folder / "checks.toml"
    file.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
    return str(file)


ACCEPTED = [
    (checks(url=URL), {"a": "http"}),
    (checks(url="https://host:8443/x?y=z", expect=204), {"a": "http"}),
    (checks(url="HTTP://host/"), {"a": "http"}),
    (checks(url="tcp://kafka-1:9092"), {"a": "tcp"}),
    (checks(url="tcp://[::1]:1"), {"a": "tcp"}),
    (checks(url="tls://host:443"), {"a": "tcp"}),
    (checks(url="redis://host/1", auth="none", depth="writable"), {"a": "redis"}),
    (checks(url="redis://host", password="redis_password"), {"a": "redis"}),  # noqa: S106
    (checks(url="rediss://host", auth="None", depth="CONNECT"), {"a": "redis"}),
    (checks(url="unix:///run/redis.sock", auth="none"), {"a": "redis"}),
    (checks(url="postgres://u@host/db", auth="none"), {"a": "postgresql"}),
    (checks(url="postgresql://u@host/db", auth="none", interval=5), {"a": "postgresql"}),
    (checks(url="postgresql://u@/db?host=/run", auth="none"), {"a": "postgresql"}),
    (checks(url="postgresql+psycopg2://u@host/db", auth="none"), {"a": "postgresql"}),
    (checks(url=URL, interval=1, timeout=0.01, failure_threshold=20), {"a": "http"}),
    (checks(url=URL, required=False), {"a": "http"}),
    ({"DATABASE_URL": "postgresql://u@host/db"}, {"postgres": "postgresql"}),
    ({"REDIS_URL": "redis://host", "OPTIONAL_CHECKS": "redis"}, {"redis": "redis"}),
    ({"HTTP_CHECKS": json.dumps({"b-1": {"url": URL}})}, {"b-1": "http"}),
    (
        {**checks(url="tcp://a:1"), "REDIS_URL": "redis://host", "POSTGRES_AUTH": "none"},
        {"redis": "redis", "a": "tcp"},
    ),
    ({"CHECKS": json.dumps({"redis": {"url": "tcp://a:1"}})}, {"redis": "tcp"}),
    ({"CHECKS": '{"a": {"url":\r\n "tcp://a:1"}}'}, {"a": "tcp"}),
]


@pytest.mark.parametrize(("settings", "kinds"), ACCEPTED)
def test_the_scheme_of_the_url_selects_the_kind(
    configured: pytest.MonkeyPatch, settings: dict[str, str], kinds: dict[str, str]
) -> None:
    for name, value in settings.items():
        configured.setenv(name, value)
    assert {spec.name: spec.kind.name for spec in load().check_specs} == kinds


# Options, what they must be, and values that they can't be.
WRONG_HTTP: list[tuple[str, str, list[Any]]] = [
    ("interval", SECONDS, [0, "1", True, None, [CANARY]]),
    ("timeout", SECONDS, [float("nan"), 1e9, {}]),
    ("failure_threshold", THRESHOLD, [0, 21, 1.5, "2", True]),
    ("success_threshold", THRESHOLD, [-1, None]),
    ("required", "true or false", [1, "true", CANARY, None]),
    ("expect", STATUSES, [199, "7xx", 200.0, [CANARY]]),
]
WRONG_REDIS: list[tuple[str, str, list[Any]]] = [
    ("auth", "password or none", [CANARY, True]),
    ("depth", "connect, query or writable", [CANARY, 7]),
    ("password", "the name of a secret, without a path", [f"/{CANARY}", f"{CANARY}\n", 7]),
]
REFUSED: list[tuple[dict[str, str], str]] = [
    (checks(), "CHECKS: a: has no url. Add one."),
    (checks(url=7), f"CHECKS: a: url: must begin with {SCHEMES}, or be secret:NAME. Correct it."),
    (
        checks(url=f"ftp://{CANARY}"),
        f"CHECKS: a: url: must begin with {SCHEMES}, or be secret:NAME. Correct it.",
    ),
    (
        checks(url=f"secret:../{CANARY}"),
        f"CHECKS: a: url: must begin with {SCHEMES}, or be secret:NAME. Correct it.",
    ),
    (checks(url=""), f"CHECKS: a: url: must begin with {SCHEMES}, or be secret:NAME. Correct it."),
    *[
        (
            checks(url=url),
            "CHECKS: a: url: must have the form tcp://host:port or tls://host:port. Correct it.",
        )
        for url in (
            f"tcp://{CANARY}",
            f"tcp://{CANARY}:0",
            f"tcp://{CANARY}:65536",
            f"tcp://u:{CANARY}@host:1",
            f"tcp://host:1/{CANARY}",
            f"tls://host:1?{CANARY}",
            f"tls://{CANARY} :1",
            "tcp:",
        )
    ],
    (
        checks(url=f"http://{CANARY}:0"),
        "CHECKS: a: url: must have the form http://host:port/path or https://host:port/path.",
    ),
    (
        checks(url=f"http://u:{CANARY}@host/"),
        "CHECKS: a: url: contains credentials. Put them in a header, as secret:NAME.",
    ),
    (
        checks(url=f"redis://:{CANARY}@host", auth="none"),
        f"CHECKS: a: url: {PASSWORD} a_password.",
    ),
    (
        {"CHECKS": json.dumps({"a-b": {"url": f"postgres://u:{CANARY}@h/d", "auth": "none"}})},
        f"CHECKS: a-b: url: {PASSWORD} a_b_password.",
    ),
    (
        checks(url=f"postgresql://u@h/d?{CANARY}=1", auth="none"),
        "CHECKS: a: url: the query option is not supported. Remove it.",
    ),
    *[
        (checks(**{"url": URL, option: value}), f"CHECKS: a: {option}: must be {what}.")
        for option, what, values in WRONG_HTTP
        for value in values
    ],
    *[
        (
            checks(**{"url": "redis://h", "auth": "none", option: value}),
            f"CHECKS: a: {option}: must be {what}.",
        )
        for option, what, values in WRONG_REDIS
        for value in values
    ],
    *[
        (
            checks(url=url, **{option: CANARY}),
            f"CHECKS: a: {option}: needs https:// or tls:// in the URL. Correct the URL, or remove",
        )
        for url, option in [("http://h", "ca"), ("tcp://h:1", "certificate"), ("http://h", "key")]
    ],
    (
        checks(url="https://h", key=CANARY),
        "CHECKS: a: key: needs certificate. Add it, or remove key.",
    ),
    (
        checks(url="https://h", ca=f"/{CANARY}"),
        "CHECKS: a: ca: the file can't be used. Mount a PEM file there, or correct the path.",
    ),
    (
        checks(url="tls://h:1", certificate=f"/{CANARY}", key=f"/{CANARY}"),
        "CHECKS: a: certificate: the client certificate can't be used. Mount it as PEM, with its",
    ),
    *[
        (
            checks(url=f"{url}{option}={CANARY}%00"),
            f"CHECKS: a: url: {option}: the file can't be used. Mount a PEM file there",
        )
        for url, option in [
            ("postgresql://u@h/d?sslmode=verify-full&", "sslrootcert"),
            ("rediss://h?", "ssl_ca_certs"),
        ]
    ],
    *[
        (
            checks(url="https://h", ca=value),
            "CHECKS: a: ca: must be the path of a file, or secret:NAME.",
        )
        for value in ("", f"{CANARY}\0", [CANARY])
    ],
    (
        checks(url="tcp://h:1", auth="none"),
        f"CHECKS: a: has an unknown option: auth. Remove it, or use one of {TERMS}, url, {FILES}.",
    ),
    (
        checks(url="tcp://h:1", **{CANARY: CANARY}),
        f"CHECKS: a: has an unknown option. Remove it, or use one of {TERMS}, url, {FILES}.",
    ),
    (
        {"CHECKS": f'{{"a": {{"url": "{CANARY}", "url": "{URL}"}}}}'},
        "CHECKS: a: has an option twice: url. Keep one.",
    ),
    (
        {"CHECKS": f'{{"a": {{"url": "{URL}", "headers": {{"x": "1", "x": "{CANARY}"}}}}}}'},
        "CHECKS: a: headers: has a name twice. Keep one.",
    ),
    (
        {"CHECKS": f'{{"a": {{"url": "{URL}"}}, "a": {{"url": "{URL}"}}}}'},
        f"CHECKS: a: {USED}",
    ),
    (
        {"CHECKS": json.dumps({"redis": {"url": URL}}), "REDIS_URL": "redis://host"},
        f"CHECKS: redis: {USED}",
    ),
    (
        {**checks(url=URL), "HTTP_CHECKS": json.dumps({"a": {"url": URL}})},
        f"HTTP_CHECKS: a: {USED}",
    ),
    (
        {"HTTP_CHECKS": json.dumps({"a": {"url": "tcp://h:1"}})},
        "HTTP_CHECKS: a: url: must have the form http://host:port/path or https://host:port/path.",
    ),
    (
        {**checks(url=URL, required=True), "OPTIONAL_CHECKS": "a"},
        "CHECKS: a: required: contradicts OPTIONAL_CHECKS. Remove one of the two.",
    ),
    (
        {**checks(url=URL), "OPTIONAL_CHECKS": "b"},
        "OPTIONAL_CHECKS: b is not a check. Use a.",
    ),
    (
        {
            "CHECKS": json.dumps(
                {name: {"url": "redis://h"} for name in ("a-b", "a_b")}
                | {"c": {"url": "redis://h", "password": "a_b_password"}}
            )
        },
        "CHECKS: a_b: would use the same secret as a-b. Name another one in password.",
    ),
    (
        {
            "CHECKS": json.dumps(
                {"a": {"url": "redis+sentinel://h/main"}, "a-sentinel": {"url": "redis://h"}}
            )
        },
        "CHECKS: a-sentinel: would use the same secret as a. Name another one in password.",
    ),
    ({"CHECKS": "[]"}, 'CHECKS: must be an object such as {"minio": {"url": "http://minio:'),
    ({"CHECKS": '{"a": 1,\n}'}, "CHECKS: invalid JSON at line "),
    ({"CHECKS": f'{{"{CANARY}": {{"url": "{URL}"}}}}'}, "CHECKS: check 1: the name must have"),
    ({}, "DATABASE_URL, REDIS_URL, CHECKS, CHECKS_FILE: none of them is set. Set at least one."),
]


@pytest.mark.parametrize(("settings", "line"), REFUSED)
def test_a_wrong_check_is_reported_in_one_line(
    configured: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str], line: str
) -> None:
    """The line names the source, the check, the option and the remedy, and has no value."""
    for secret in ("a_password", "a_b_password", "a_sentinel_password"):
        (tmp_path / secret).write_text("secret")
    for name, value in settings.items():
        configured.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load()
    [problem] = caught.value.problems
    assert problem.startswith(line)
    assert CANARY not in problem


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ("", " is empty. Write the checks into it."),
        (b"\xff", " is not UTF-8. Save it as UTF-8."),
        (b"\xff\xfe[\0", " is not UTF-8, but probably UTF-16. Save it as UTF-8."),
        ("#" * (1024 * 1024 + 1), " holds more than 1 MB. Write only the checks into it."),
        (f"[checks\n{CANARY}", " has invalid TOML at line 1, column 8. Correct it."),
        (f"a = '{CANARY}", " has invalid TOML at "),
        (
            f"x = {'[' * 10_000}",
            " has invalid TOML in a long number or a deep nesting. Correct it.",
        ),
        (
            f"[checks.a]\nurl = '{URL}'\n[checks.a]\n",
            " has a key or table that occurs twice at line 3, column 10. Correct it.",
        ),
        (
            f"[checks.a]\nurl = '{URL}'\nurl = '{CANARY}'\nexpect = 1",
            " has a key or table that occurs twice at line 3, column 15. Correct it.",
        ),
        (
            f"[{CANARY}]\n",
            " may contain only the tables [defaults] and [checks.NAME]. Remove the rest.",
        ),
        (
            "checks = 1",
            " may contain only the tables [defaults] and [checks.NAME]. Remove the rest.",
        ),
        (
            f"[defaults]\ninterval = '{CANARY}'\n[checks.a]\nurl = '{URL}'",
            ": [defaults]: interval: must be a number of seconds from 0.01 to 86400.",
        ),
        (
            f"[defaults]\nurl = '{CANARY}'\n[checks.a]\nurl = '{URL}'",
            f": [defaults]: has an unknown option: url. Remove it, or use one of {TERMS}.",
        ),
        (
            f"[checks.a]\nurl = '{URL}'\ninterval = 1979-05-27",
            ": a: interval: must be a number of seconds from 0.01 to 86400.",
        ),
        ("[checks]\na = 1", ': a: must be an object such as {"url": "http://minio:9000/"}.'),
    ],
)
def test_a_wrong_file_is_reported_in_one_line(
    configured: pytest.MonkeyPatch, tmp_path: Path, toml: str | bytes, line: str
) -> None:
    """With the position of invalid TOML, and without a part of the file."""
    file = write(tmp_path, toml)
    configured.setenv("CHECKS_FILE", file)
    with pytest.raises(ConfigurationError) as caught:
        load()
    [problem] = caught.value.problems
    subject = "CHECKS_FILE" if line.startswith(":") else f"CHECKS_FILE: {file}"
    assert problem.startswith(subject + line)
    assert CANARY not in problem


def test_a_missing_file_is_reported(configured: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configured.setenv("CHECKS_FILE", str(tmp_path / "gone"))
    with pytest.raises(ConfigurationError, match=r"gone is missing\. Write the checks into it"):
        load()


def test_own_terms_replace_those_of_the_file_and_these_the_general_ones(
    configured: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The defaults of a file do not apply to the other sources."""
    toml = f"""
        [defaults]
        interval = 2
        failure_threshold = 3
        required = false
        [checks.a]
        url = "{URL}"
        interval = 5
        required = true
        [checks.b]
        url = "tcp://host:1"
    """
    configured.setenv("CHECKS_FILE", write(tmp_path, toml))
    configured.setenv("CHECKS", json.dumps({"c": {"url": URL}}))
    configured.setenv("CHECK_TIMEOUT", "7")
    configured.setenv("OPTIONAL_CHECKS", "c")
    specs = {spec.name: spec.options for spec in load().check_specs}
    assert {
        name: (one.interval, one.timeout, one.failure_threshold, one.required)
        for name, one in specs.items()
    } == {"a": (5, 7, 3, True), "b": (2, 7, 3, False), "c": (1, 7, 1, False)}


def test_the_file_is_read_once(configured: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A later change needs a restart."""
    configured.setenv("CHECKS_FILE", write(tmp_path, f"[checks.a]\nurl = '{URL}'"))
    settings = load()
    write(tmp_path, "[")
    assert [spec.name for spec in settings.check_specs] == ["a"]


def test_a_password_may_have_a_file_of_its_own(
    configured: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`NAME_FILE` names it, with an underscore instead of a hyphen."""
    (tmp_path / "elsewhere").write_text("secret")
    configured.setenv("CHECKS", json.dumps({"a-b": {"url": "redis://host"}}))
    configured.setenv("A_B_PASSWORD_FILE", str(tmp_path / "elsewhere"))
    assert load().read_secret("a_b_password") == "secret"


def test_http_checks_are_deprecated(configured: pytest.MonkeyPatch) -> None:
    configured.setenv("CHECKS", json.dumps({"a": {"url": URL}}))
    assert not find_deprecated(load())
    configured.setenv("HTTP_CHECKS", json.dumps({"b": {"url": URL}}))
    assert find_deprecated(load()).keys() == {"HTTP_CHECKS"}


@pytest.mark.parametrize("store", ["POSTGRES", "REDIS"])
def test_the_former_name_of_a_depth_is_deprecated(environ: pytest.MonkeyPatch, store: str) -> None:
    """It works, but not beside the new name."""
    environ.setenv(f"{store}_REQUIRE", "Connect")
    settings = load()
    depths = {
        spec.name: vars(spec.options)["depth"]
        for spec in settings.check_specs
        if isinstance(spec.options, StoreOptions)
    }
    assert depths == {"postgres": "query", "redis": "query"} | {store.lower(): "connect"}
    advice = f"deprecated. Rename it to {store}_DEPTH; version 3.0 will not read it."
    assert find_deprecated(settings) == {f"{store}_REQUIRE": advice}
    environ.setenv(f"{store}_DEPTH", "connect")
    with pytest.raises(ConfigurationError) as caught:
        load()
    problem = f"{store}_REQUIRE: is the former name of {store}_DEPTH. Unset it."
    assert caught.value.problems == [problem]


def test_the_former_name_of_a_depth_is_named_in_its_problem(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("REDIS_REQUIRE", CANARY)
    with pytest.raises(ConfigurationError) as caught:
        load()
    remedy = "Correct it or unset it."
    assert caught.value.problems == [f"REDIS_REQUIRE: must be connect, query or writable. {remedy}"]


def test_loading_the_settings_imports_no_driver() -> None:
    """The drivers take a third of the startup time."""
    program = "import sys, app.settings; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"asyncpg", "redis", "sqlalchemy"} & set(done.stdout.split())


def test_two_hundred_checks_are_loaded(configured: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tables = (f"[checks.c{number}]\nurl = 'tcp://host:{number + 1}'\n" for number in range(200))
    configured.setenv("CHECKS_FILE", write(tmp_path, "".join(tables)))
    assert len(load().check_specs) == 200
