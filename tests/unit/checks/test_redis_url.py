"""URLs as redis-py, Celery and others accept them, and the lines that refuse the others."""

from typing import Any

import pytest

from app.checks.redis_url import (
    CLUSTER,
    FORMS,
    SENTINEL,
    SERVER,
    SYSTEM,
    RedisTarget,
    TlsTarget,
)
from app.checks.urls import PASSWORD


DEFAULTS: dict[str, Any] = {
    "hosts": (("r", 6379),),
    "username": "",
    "database": 0,
    "tls": None,
    "mode": SERVER,
    "service": "",
}
FORM, CLUSTER_FORM, SENTINEL_FORM = (
    f"must have the form {FORMS[mode]}. Correct it." for mode in (SERVER, CLUSTER, SENTINEL)
)
UNVERIFIED = TlsTarget({}, verify=False, check_hostname=True)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://r", {}),
        ("REDIS://r/", {}),
        ("redis://r:6380/3", {"hosts": (("r", 6380),), "database": 3}),
        ("redis://r/1?db=3", {"database": 3}),
        ("redis://r?db=&ssl_ca_certs=&", {}),
        ("redis://[::1]:1", {"hosts": (("::1", 1),)}),
        ("redis://?host=r&port=6379", {}),
        ("redis:///2?host=r", {"database": 2}),
        ("redis://app@r", {"username": "app"}),
        ("redis://:@r", {}),
        ("redis://a%40b@r", {"username": "a@b"}),
        ("redis://r?username=app", {"username": "app"}),
        ("unix:///run/r.sock", {"hosts": (("/run/r.sock", 0),)}),
        (
            "unix://app@/run/r%20s.sock?db=2",
            {"hosts": (("/run/r s.sock", 0),), "username": "app", "database": 2},
        ),
        ("rediss://r", {"tls": SYSTEM}),
        ("rediss://r?ssl_cert_reqs=required", {"tls": SYSTEM}),
        ("rediss://r?ssl_cert_reqs=CERT_REQUIRED&ssl_check_hostname=True", {"tls": SYSTEM}),
        ("rediss://r?ssl_cert_reqs=none", {"tls": UNVERIFIED}),
        ("rediss://r?ssl_cert_reqs=CERT_NONE", {"tls": UNVERIFIED}),
        (
            "rediss://r?ssl_check_hostname=false",
            {"tls": TlsTarget({}, verify=True, check_hostname=False)},
        ),
        (
            "rediss://r?ssl_ca_certs=/a%20b&ssl_certfile=/c&ssl_keyfile=/d",
            {
                "tls": TlsTarget(
                    {"ssl_ca_certs": "/a b", "ssl_certfile": "/c", "ssl_keyfile": "/d"},
                    verify=True,
                    check_hostname=True,
                )
            },
        ),
        ("redis+cluster://r/0", {"mode": CLUSTER}),
        (
            "rediss+cluster://app@r,s:1,[::1]?port=7",
            {
                "hosts": (("r", 7), ("s", 7), ("::1", 7)),
                "username": "app",
                "tls": SYSTEM,
                "mode": CLUSTER,
            },
        ),
        (
            "redis+sentinel://app@r,s:7/main/2",
            {
                "hosts": (("r", 26379), ("s", 7)),
                "username": "app",
                "database": 2,
                "mode": SENTINEL,
                "service": "main",
            },
        ),
        (
            "REDISS+SENTINEL://r:1/my%2Fmain",
            {"hosts": (("r", 1),), "tls": SYSTEM, "mode": SENTINEL, "service": "my/main"},
        ),
        ("redis://r?socket_timeout=5&protocol=3&max_connections=x&decode_responses=True", {}),
    ],
)
def test_a_url_names_a_target(url: str, expected: dict[str, Any]) -> None:
    assert RedisTarget.parse(url) == RedisTarget(**DEFAULTS | expected)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis://:pw@r", PASSWORD),
        ("redis://r?password=pw", PASSWORD),
        ("redis://a,b", FORM),
        ("unix+cluster:///run/r.sock", CLUSTER_FORM),
        ("redis+cluster://", CLUSTER_FORM),
        ("redis+cluster://a,,b", CLUSTER_FORM),
        ("redis+sentinel://r", SENTINEL_FORM),
        ("redis+sentinel://r//1", SENTINEL_FORM),
        ("redis+sentinel:///main", SENTINEL_FORM),
        ("redis+sentinel://r/main/x", "the database must be a number. Correct it."),
        ("redis+cluster://a/1", "a cluster has only database 0. Correct it."),
        ("redis://r:x", FORM),
        ("redis://r#0", FORM),
        ("unix://", FORM),
        ("unix://host/run/r.sock", FORM),
        ("redis://r?host=%00", FORM),
        ("redis://r/" + "1" * 5000, "the database must be a number. Correct it."),
        ("redis://r/0/1", "the database must be a number. Correct it."),
        ("redis://r?db=-1", "the database must be a number. Correct it."),
        ("redis://r?ssl_ciphers=x", "the query option ssl_ciphers is not supported. Remove it."),
        ("redis://r?ssl_cert_reqs=none", "ssl_cert_reqs needs TLS. Use rediss://."),
        (
            "rediss://r?ssl_cert_reqs=maybe",
            "ssl_cert_reqs must be none, optional or required. Correct it.",
        ),
        (
            "rediss://r?ssl_check_hostname=maybe",
            "ssl_check_hostname must be true or false. Correct it.",
        ),
    ],
)
def test_another_url_is_refused_in_one_line(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"^must|^a|^the|^ssl") as caught:
        RedisTarget.parse(url)
    assert str(caught.value) == problem
