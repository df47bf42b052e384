from pathlib import Path

import pytest
import trustme

from app.settings import ConfigurationError, load
from tests.broken_settings import BROKEN, CANARY


def problems() -> list[str]:
    """What is said of the configuration."""
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert CANARY not in str(caught.value)
    return caught.value.problems


def test_the_defaults_are_the_documented_ones(environ: pytest.MonkeyPatch) -> None:
    """With two URLs and their secrets nothing else need be set."""
    environ.delenv("PORT", raising=False)
    settings = load()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.check_interval, settings.check_timeout) == (1, 1)
    assert (settings.reconnect_interval, settings.failure_threshold) == (15, 1)
    assert settings.postgres_require == settings.redis_require == "query"
    assert settings.optional == frozenset()
    assert settings.health_details == "always"
    read = settings.password("postgres")
    assert read
    assert read() == CANARY


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgres://user@host/db"),
        ("DATABASE_URL", "postgresql+asyncpg://user@[::1]:5433/db"),
        ("DATABASE_URL", "postgresql://user@host/db?sslmode=verify-full&sslrootcert={CA}"),
        ("DATABASE_URL", "postgresql://user@/db?host=/run/postgresql"),
        ("REDIS_URL", "rediss://user@host:6380/1?ssl_ca_certs={CA}"),
        ("REDIS_URL", "unix:///run/redis.sock?db=2"),
        ("OPTIONAL_CHECKS", " redis , postgres,"),
        ("CHECK_INTERVAL", "0.01"),
        ("PORT", ""),
    ],
)
def test_what_is_documented_is_accepted(
    environ: pytest.MonkeyPatch, name: str, value: str, tmp_path: Path
) -> None:
    """Every form of a URL, a list with spaces, and an empty value, which is none."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    environ.setenv(name, value.replace("{CA}", str(tmp_path / "ca.pem")))
    load()


@pytest.mark.parametrize(("name", "value", "line"), BROKEN)
def test_a_bad_setting_is_told_in_one_line(
    environ: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    """Its name and the remedy; nothing of its value."""
    environ.setenv(name, value)
    assert problems() == [line]


def test_everything_that_is_wrong_is_told_at_once(
    environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A bad URL still needs its secret, and its check may still be optional."""
    environ.setenv("DATABASE_URL", CANARY)
    environ.setenv("PORT", CANARY)
    environ.setenv("OPTIONAL_CHECKS", "postgres")
    environ.setenv("MINIO_USER", CANARY)
    (tmp_path / "postgres_password").unlink()
    (tmp_path / "redis_password").write_text("")
    assert [line.split()[0] for line in problems()] == [
        "PORT",
        "DATABASE_URL",
        "postgres_password:",
        "redis_password:",
        "MINIO_USER:",
    ]


def test_a_service_without_dependencies_does_not_start(environ: pytest.MonkeyPatch) -> None:
    """It would be green and say nothing."""
    environ.delenv("DATABASE_URL")
    environ.delenv("REDIS_URL")
    assert problems() == [
        "DATABASE_URL, REDIS_URL and HTTP_CHECKS are not set: set at least one to check"
    ]


def test_a_server_without_a_password_needs_no_secret(
    environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`POSTGRES_AUTH=none` is for trust and peer."""
    (tmp_path / "postgres_password").unlink()
    environ.setenv("POSTGRES_AUTH", "none")
    assert load().password("postgres") is None


def test_a_header_may_need_any_file_of_the_folder(
    environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One called as a variable of the environment is, too; a missing one is told."""
    (tmp_path / "home").write_text("word")
    headers = '{"x-key": "secret:home", "x-other": "Bearer secret:gone"}'
    environ.setenv("HTTP_CHECKS", f'{{"it": {{"url": "http://it/", "headers": {headers}}}}}')
    assert problems() == [
        f"gone: {tmp_path}/gone is missing: write the secret into it, or mount it"
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "is missing: write the secret into it, or mount it"),
        ("x" * 31, "is shorter than 32 bytes: write a longer one"),
        ("\u00e9" * 16, None),
    ],
)
def test_authorized_details_need_a_secret_that_signs(
    environ: pytest.MonkeyPatch, tmp_path: Path, content: str | None, problem: str | None
) -> None:
    """A key for HS256 has 32 bytes; nothing else needs one."""
    file = tmp_path / "jwt_secret"
    if content is not None:
        file.write_text(content)
    for needless in ("always", "never"):
        environ.setenv("HEALTH_DETAILS", needless)
        assert load().health_details == needless
    environ.setenv("HEALTH_DETAILS", "authorized")
    if problem:
        assert problems() == [f"jwt_secret: {file} {problem}"]
    else:
        assert load().health_details == "authorized"


def test_checks_that_can_not_be_read_are_told_once(environ: pytest.MonkeyPatch) -> None:
    """Which of them are optional is not judged while nobody knows which there are."""
    environ.setenv("HTTP_CHECKS", '{"minio":')
    environ.setenv("OPTIONAL_CHECKS", "minio")
    assert problems() == ["HTTP_CHECKS is not JSON from line 1, column 10 on: correct it"]


def test_a_check_is_made_on_its_own_terms_where_it_has_any(environ: pytest.MonkeyPatch) -> None:
    """Each of the two by itself; of what is not configured nothing is told."""
    environ.delenv("REDIS_URL")
    environ.setenv("CHECK_INTERVAL", "7")
    environ.setenv("POSTGRES_CHECK_TIMEOUT", "3")
    environ.setenv("HTTP_CHECKS", '{"it": {"url": "http://it/", "interval": 2}}')
    assert load().check_schedules == {"postgres": (7, 3), "it": (2, 1)}
