"""Whole URLs in secrets: how they are read, checked and shown."""

import json
from pathlib import Path

import pytest

from app.settings import ConfigurationError, load
from app.settings.loading import effective_settings
from tests.support.broken_settings import CANARY


@pytest.fixture(name="configured")
def _configured(environ: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Unset all sources."""
    environ.delenv("DATABASE_URL")
    environ.delenv("REDIS_URL")
    return environ


def problems() -> list[str]:
    """Return what is wrong with the environment."""
    with pytest.raises(ConfigurationError) as caught:
        load()
    return caught.value.problems


@pytest.mark.parametrize(
    ("url", "kind", "address"),
    [
        (
            f"postgresql://app:{CANARY}@db-1:5432/orders",
            "postgresql",
            "postgresql://db-1:5432/orders",
        ),
        (f"postgres://a:%2F{CANARY}@db/o?sslmode=require", "postgresql", "postgres://db/o"),
        (
            f"postgresql://a:{CANARY}@db-1,[::1]:5433/o?target_session_attrs=any",
            "postgresql",
            "postgresql://db-1,[::1]:5433/o",
        ),
        (
            f"postgresql://:{CANARY}@%2Frun%2Fpg/o?user=a",
            "postgresql",
            "postgresql://%2Frun%2Fpg/o",
        ),
        (f"postgres://a@db/o?password={CANARY}&sslmode=require", "postgresql", "postgres://db/o"),
        (f"redis://cache/1?db=1&password={CANARY}", "redis", "redis://cache/1"),
        (f"rediss://:{CANARY}@cache/1", "redis", "rediss://cache/1"),
        (f"unix://:{CANARY}@/run/redis.sock?db=1", "redis", "unix:///run/redis.sock"),
        (f"https://host:8443/hook/{CANARY}?{CANARY}", "http", "https://host:8443"),
        (f"postgresql://a:b@c/{CANARY}@db/o", "postgresql", "postgresql://"),
        (f"unix://:b@/{CANARY}@/run/redis.sock", "redis", "unix://"),
        ("tcp://host:1", "tcp", "tcp://host:1"),
        ("HTTPS://host/", "http", "https://host"),
    ],
)
def test_a_secret_holds_the_url(
    configured: pytest.MonkeyPatch, tmp_path: Path, url: str, kind: str, address: str
) -> None:
    """It needs no other secret, and no part of it is kept except its address."""
    (tmp_path / "orders_url.txt").write_text(f"{url}\n")
    configured.setenv("CHECKS", json.dumps({"a": {"url": "secret:orders_url"}}))
    settings = load()
    [spec] = settings.check_specs
    assert (spec.kind.name, spec.target) == (kind, address)
    assert spec.secret_names == {"orders_url"}
    assert effective_settings(settings)["CHECKS"] == f"a: {address}"
    assert CANARY not in repr(spec)


def test_files_may_hold_the_urls_of_both_stores(
    configured: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also outside the folder of secrets."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name, url in (("pg", f"postgresql://a:{CANARY}@h/d"), ("redis", f"redis://:{CANARY}@h")):
        (folder / name).write_text(url)
    configured.setenv("DATABASE_URL_FILE", str(folder / "pg"))
    configured.setenv("REDIS_URL_FILE", str(folder / "redis"))
    settings = load()
    shown = effective_settings(settings)
    assert [spec.address for spec in settings.check_specs] == ["postgresql://h/d", "redis://h"]
    assert shown["DATABASE_URL_FILE"] == f"{folder / 'pg'}: postgresql://h/d"
    assert "DATABASE_URL" not in shown
    assert CANARY not in "".join(shown.values())


FORM = "must have the form postgresql://user@host:port/database. Correct it."


@pytest.mark.parametrize(
    ("content", "options", "line"),
    [
        ("", {}, "orders_url: {path} is empty. Write the secret into it."),
        (f"ftp://{CANARY}", {}, "CHECKS: a: url: the URL in orders_url: must begin with postgres"),
        (
            f'"redis://{CANARY}"',
            {},
            "CHECKS: a: url: the URL in orders_url: must begin with postgre",
        ),
        (
            f"postgres://{CANARY}",
            {"auth": "none"},
            f"CHECKS: a: url: the URL in orders_url: {FORM}",
        ),
        (
            f"postgres://u@h/{CANARY}",
            {},
            "CHECKS: a: url: the URL in orders_url: has no password. Add it, or set auth to none.",
        ),
        (
            f"redis://:{CANARY}@h",
            {"auth": "none"},
            "CHECKS: a: url: the URL in orders_url: has a password, but auth is none. Remove one.",
        ),
        (
            f"redis://:{CANARY}@h",
            {"password": "redis_password"},
            "CHECKS: a: password: excludes a URL from a secret, which has it. Remove it.",
        ),
        (
            f"http://u:{CANARY}@h",
            {},
            "CHECKS: a: url: the URL in orders_url: contains credentials. Put them in a header, as",
        ),
    ],
)
def test_a_wrong_url_is_reported_without_a_part_of_it(
    configured: pytest.MonkeyPatch,
    tmp_path: Path,
    content: str,
    options: dict[str, str],
    line: str,
) -> None:
    file = tmp_path / "orders_url"
    file.write_text(content)
    configured.setenv("CHECKS", json.dumps({"a": {"url": "secret:orders_url", **options}}))
    [problem] = problems()
    assert problem.startswith(line.format(path=file))
    assert CANARY not in problem


def test_a_missing_url_hides_no_check(configured: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`OPTIONAL_CHECKS` may name the check, and the line about the file is the only one."""
    configured.setenv("CHECKS", json.dumps({"a": {"url": "secret:orders_url"}}))
    configured.setenv("OPTIONAL_CHECKS", "a")
    missing = tmp_path / "orders_url"
    assert problems() == [
        f"orders_url: {missing} is missing. Write the secret into it, or mount it."
    ]


def test_a_url_and_its_file_exclude_each_other(
    configured: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "url").write_text("redis://:secret@h")
    configured.setenv("REDIS_URL", "redis://h")
    configured.setenv("REDIS_URL_FILE", str(tmp_path / "url"))
    assert problems() == ["REDIS_URL_FILE: excludes REDIS_URL. Unset one of the two."]


def test_the_file_of_a_url_is_named(configured: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the variable, as for every other secret; and so is what is wrong with its content."""
    file = tmp_path / "url"
    configured.setenv("DATABASE_URL_FILE", str(file))
    [problem] = problems()
    assert problem.startswith(f"database_url: {file} (DATABASE_URL_FILE) is missing.")
    file.write_text(f"postgresql://{CANARY}:x@")
    assert problems() == [f"DATABASE_URL_FILE: {FORM}"]
    file.write_text("postgresql://user@host/db")
    remedy = "has no password. Add it, or set POSTGRES_AUTH to none."
    assert problems() == [f"DATABASE_URL_FILE: {remedy}"]
