"""URLs as psql, SQLAlchemy and others accept them, and the lines that refuse the others."""

from typing import Any

import pytest

from app.checks.postgres_url import FORM, PostgresTarget


DEFAULTS: dict[str, Any] = {
    "hosts": (("db", 5432),),
    "user": "app",
    "database": "app",
    "ssl_mode": "prefer",
    "tls_files": {},
    "attributes": "any",
}
SOCKET = {"hosts": (("/run/pg", 5432),)}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://app@db", {}),
        ("postgresql://app@db/", {}),
        ("POSTGRES://app@db/app", {}),
        ("postgresql+psycopg://app@db/app", {}),
        ("postgresql+psycopg2cffi://app@db/app", {}),
        ("postgresql://app@db:5433/orders", {"hosts": (("db", 5433),), "database": "orders"}),
        ("postgresql://app@db:/app", {}),
        ("postgresql://app@[::1]:5433/app", {"hosts": (("::1", 5433),)}),
        ("postgresql://app@[fe80::1%25eth0]/app", {"hosts": (("fe80::1%eth0", 5432),)}),
        ("postgresql://a%40corp@db/my%20app", {"user": "a@corp", "database": "my app"}),
        ("postgresql://app@%2Frun%2Fpg/app", SOCKET),
        ("postgresql://app@%2Frun%2Fpg:5433/app", {"hosts": (("/run/pg", 5433),)}),
        ("postgresql://app@/app?host=/run/pg", SOCKET),
        ("postgresql:///app?user=app&host=%2Frun%2Fpg&port=5432", SOCKET),
        ("postgresql://app@localhost/app?host=/run/pg", SOCKET),
        ("postgresql://?host=db&port=5433&user=app", {"hosts": (("db", 5433),)}),
        ("postgresql://app@db:1/app?port=5433", {"hosts": (("db", 5433),)}),
        ("postgresql://app@/app?host=db:5433", {"hosts": (("db", 5433),)}),
        (
            "postgresql://app@/?host=::1&dbname=orders",
            {"hosts": (("::1", 5432),), "database": "orders"},
        ),
        (
            "postgresql://app@db-1,db-2:5433,[::1]:1/app?target_session_attrs=read-write",
            {"hosts": (("db-1", 5432), ("db-2", 5433), ("::1", 1)), "attributes": "read-write"},
        ),
        ("postgresql://app@/app?host=a,/run/pg", {"hosts": (("a", 5432), ("/run/pg", 5432))}),
        ("postgresql://app@/app?host=a,b&port=1", {"hosts": (("a", 1), ("b", 1))}),
        ("postgresql://app@a,b/app?port=1,2", {"hosts": (("a", 1), ("b", 2))}),
        ("postgresql://app@a,b/app?port=,2", {"hosts": (("a", 5432), ("b", 2))}),
        ("postgresql://app@/app?host=a:1&host=b:2", {"hosts": (("a", 1), ("b", 2))}),
        ("postgresql://app@db/app?sslmode=require", {"ssl_mode": "require"}),
        ("postgresql+asyncpg://app@db/app?ssl=verify-ca", {"ssl_mode": "verify-ca"}),
        ("postgresql://app@db/app?ssl=true", {"ssl_mode": "require"}),
        ("postgresql://app@db/app?sslrootcert=system", {"ssl_mode": "verify-full"}),
        (
            "postgresql://app@db/app?sslmode=require&sslrootcert=/etc/my%20ca.pem",
            {"ssl_mode": "require", "tls_files": {"sslrootcert": "/etc/my ca.pem"}},
        ),
        (
            "postgresql://app@db?sslrootcert=system&sslcert=/pem&sslkey=/key",
            {"ssl_mode": "verify-full", "tls_files": {"sslcert": "/pem", "sslkey": "/key"}},
        ),
        (
            "postgresql://app@db/app?application_name=a+b&connect_timeout=3&keepalives_count=3",
            {},
        ),
        ("postgresql://app@db/app?sslmode=&sslrootcert=&host=&target_session_attrs=&port=", {}),
        ("postgresql+asyncpg://app@db/app?prepared_statement_cache_size=0&client_encoding=", {}),
    ],
)
def test_a_url_is_read_as_libpq_and_sqlalchemy_read_it(url: str, expected: dict[str, Any]) -> None:
    assert PostgresTarget.parse(url) == PostgresTarget(**DEFAULTS | expected)


PORTS = "must name one port, or one for each host. Correct it."
PASSWORD = "a password is not allowed in the URL."  # noqa: S105 - a message


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://app@db/app", FORM),
        ("postgresql:app@db/app", FORM),
        ("postgresql://db/app", FORM),
        ("postgresql://app@/app", FORM),
        ("postgresql://app@:5432/app", FORM),
        ("postgresql://app@db:0/app", FORM),
        ("postgresql://app@db:65536/app", FORM),
        ("postgresql://app@db:x/app", FORM),
        ("postgresql://app@db:1:2x/app", FORM),
        ("postgresql://app@[db/app", FORM),
        ("postgresql://app@db/app#fragment", FORM),
        ("postgresql://app%00@db/app", FORM),
        ("postgresql://app@db%0A/app", FORM),
        ("postgresql://app@db/app%00", FORM),
        ("postgresql://app@db/app?port=x", FORM),
        ("postgresql://app@db/app?port=1,2", PORTS),
        ("postgresql://app@a,b,c/app?port=1,2", PORTS),
        ("postgresql://app@a,,b/app", FORM),
        ("postgresql://app@a,b:0/app", FORM),
        ("postgresql://app@a/app?target_session_attrs=master", "unknown target_session_attrs."),
        ("postgresql://app:word@db/app", PASSWORD),
        ("postgresql://app:@db/app", PASSWORD),
        ("postgresql://app@db/app?password=word", PASSWORD),
        ("postgresql://app@db/ app", "contains a space"),
        ("postgresql://app@db/app?sslmode=full", "unknown sslmode."),
        ("postgresql://app@db/app?sslrootcert=/ca.pem", "sslrootcert needs verification."),
        (
            "postgresql://app@db/app?sslrootcert=system&sslmode=require",
            "sslrootcert=system needs sslmode=verify-full.",
        ),
        *[
            (
                f"postgresql://app@db/app?{name}=x",
                f"the query option {name} is not supported. Remove it.",
            )
            for name in (
                "channel_binding",
                "options",
                "service",
                "gssencmode",
                "passfile",
                "hostaddr",
                "currentSchema",
                "ApplicationName",
            )
        ],
        (
            "postgresql://app@db/app?a=1&b=2",
            "a is not supported. Remove it.\nthe query option b is",
        ),
        *[
            (f"postgresql://app@db/app?{name}", "the query option is not supported. Remove it.")
            for name in ("S3cret", "SSLMODE", "aB", "a" * 33)
        ],
    ],
)
def test_a_url_that_can_not_work_is_refused(url: str, problem: str) -> None:
    """The line names the option, and no part of the URL otherwise."""
    with pytest.raises(ValueError, match=r"\.$") as caught:
        PostgresTarget.parse(url)
    assert problem in str(caught.value)
    assert "S3cret" not in str(caught.value)
