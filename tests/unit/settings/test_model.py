from pathlib import Path

import pytest
import trustme

from app.settings import ConfigurationError, Settings, load
from app.settings.loading import find_misspelled
from app.settings.secrets import SECRETS
from tests.support.broken_settings import BROKEN, CANARY


def problems() -> list[str]:
    """Return the problems of the configuration."""
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert CANARY not in str(caught.value)
    return caught.value.problems


def test_the_defaults_are_the_documented_ones(environ: pytest.MonkeyPatch) -> None:
    """Two URLs and their secrets are enough."""
    environ.delenv("PORT", raising=False)
    settings = load()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.check_interval, settings.check_timeout) == (1, 1)
    assert (settings.reconnect_interval, settings.failure_threshold) == (15, 1)
    assert settings.postgres_depth == settings.redis_depth == "query"
    assert settings.optional == frozenset()
    assert settings.health_details == "always"
    assert [spec.name for spec in settings.check_specs] == ["postgres", "redis"]
    for spec in settings.check_specs:
        assert [settings.read_secret(name) for name in spec.secret_names] == [CANARY]


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
def test_the_documented_values_are_accepted(
    environ: pytest.MonkeyPatch, name: str, value: str, tmp_path: Path
) -> None:
    """Every form of a URL, a list with spaces, and an empty value, which counts as unset."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    environ.setenv(name, value.replace("{CA}", str(tmp_path / "ca.pem")))
    load()


@pytest.mark.parametrize(
    ("name", "value", "meaning"),
    [
        ("LOG_LEVEL", "INFO", "info"),
        ("LOG_LEVEL", "Warning", "warning"),
        ("LOG_LEVEL", "warn", "warning"),
        ("LOG_LEVEL", "WARN", "warning"),
        ("LOG_FORMAT", "JSON", "json"),
        ("POSTGRES_AUTH", "None", "none"),
        ("REDIS_AUTH", "PASSWORD", "password"),
        ("POSTGRES_DEPTH", "Writable", "writable"),
        ("REDIS_DEPTH", "CONNECT", "connect"),
        ("HEALTH_DETAILS", "Always", "always"),
    ],
)
def test_fixed_words_are_accepted_in_any_case(
    environ: pytest.MonkeyPatch, name: str, value: str, meaning: str
) -> None:
    """The settings have them in lower case."""
    environ.setenv(name, value)
    assert getattr(load(), name.lower()) == meaning


@pytest.mark.parametrize(
    ("variable", "similar"),
    [
        ("CHECK_INTERVALL", "CHECK_INTERVAL"),
        ("check_intervall", "CHECK_INTERVAL"),
        ("REDIS_URI", "REDIS_URL"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("SECRET_DIR", "SECRETS_DIR"),
        ("HTTP_CHECK", "HTTP_CHECKS"),
        ("HEALTH_DETAIL", "HEALTH_DETAILS"),
        ("POSTGRES_PASWORD_FILE", "POSTGRES_PASSWORD_FILE"),
    ],
)
def test_a_misspelled_variable_is_found(variable: str, similar: str) -> None:
    """With the name that it almost has."""
    assert find_misspelled({"PATH": "/bin", variable: CANARY}) == {variable: similar}


UNRELATED = (
    "PATH HOME HOSTNAME HOSTTYPE PORT HOST PORTS HOSTS USER LANG PWD SHLVL TERM SHELL LOGNAME TZ "
    "GPG_KEY PYTHON_VERSION VIRTUAL_ENV VERSION TMPDIR http_proxy HTTPS_PROXY NO_PROXY "
    "SSL_CERT_FILE PGHOST PGPORT PGPASSWORD PGSSLMODE POSTGRES_USER POSTGRES_DB POSTGRES_HOST "
    "POSTGRES_PORT POSTGRES_PASSWORD POSTGRES_USER_FILE POSTGRES_DB_FILE POSTGRES_INITDB_ARGS "
    "POSTGRES_URL POSTGRES_HOST_AUTH_METHOD REDIS_HOST REDIS_PORT REDIS_DB REDIS_PASSWORD "
    "REDIS_TLS_URL REDISCLI_AUTH REDIS_SERVICE_HOST REDIS_SERVICE_PORT REDIS_SERVICE_PORT_REDIS "
    "REDIS_PORT_6379_TCP REDIS_PORT_6379_TCP_ADDR REDIS_PORT_6379_TCP_PROTO DATABASE_NAME "
    "DATABASE_HOST DATABASE_PORT DATABASE_USER DATABASE_SERVICE_HOST CHECK_PORT LOG_PORT "
    "HTTP_PORT HTTP_HOST HEALTH_PORT LOG_FORMAT_SERVICE_HOST VITALS_PORT VITALS_SERVICE_HOST "
    "VITALS_SERVICE_PORT VITALS_IMAGE VITALS_PORT_8000_TCP_PORT KUBERNETES_PORT "
    "KUBERNETES_SERVICE_HOST KUBERNETES_PORT_443_TCP_ADDR MINIO_ROOT_USER MINIO_ROOT_PASSWORD "
    "MINIO_ROOT_USER_FILE MINIO_ROOT_PASSWORD_FILE DOMAIN JWT_SECRET_KEY SECRET_KEY "
    "OTEL_SERVICE_NAME UVICORN_PORT WEB_CONCURRENCY LOG_DIR LOG_FILE MAINTENANCE_MODE "
    "MAINTENANCE_TIME REDIS_USER COMPOSE_FILE REPLICAS REVISION "
)


def test_variables_of_an_ordinary_environment_are_not_misspelled() -> None:
    """Those of images, shells, other programs, and services that Kubernetes links."""
    assert find_misspelled(dict.fromkeys(UNRELATED.split(), CANARY)) == {}


def test_the_secret_of_a_check_is_not_misspelled() -> None:
    """Without the check, its variable is almost that of another secret."""
    environ = {"REDIS2_PASSWORD_FILE": CANARY}
    assert find_misspelled(environ) == {"REDIS2_PASSWORD_FILE": "REDIS_PASSWORD_FILE"}
    assert find_misspelled(environ, [*SECRETS, "redis2_password"]) == {}


def test_no_setting_and_no_secret_is_misspelled() -> None:
    """In upper or lower case."""
    names = [*Settings.model_fields, *(f"{name}_file" for name in SECRETS)]
    names += [name.upper() for name in names]
    assert find_misspelled(dict.fromkeys(names, CANARY)) == {}


@pytest.mark.parametrize(("name", "value", "line"), BROKEN)
def test_an_invalid_setting_is_one_line(
    environ: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    """With its name and the remedy, without its value."""
    environ.setenv(name, value)
    assert problems() == [line]


def test_all_problems_are_reported_at_once(environ: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A store with an invalid URL still needs its secret, and may be optional."""
    environ.setenv("DATABASE_URL", CANARY)
    environ.setenv("PORT", CANARY)
    environ.setenv("OPTIONAL_CHECKS", "postgres")
    environ.setenv("MINIO_USER", CANARY)
    (tmp_path / "postgres_password").unlink()
    (tmp_path / "redis_password").write_text("")
    assert [line.split()[0] for line in problems()] == [
        "PORT:",
        "DATABASE_URL:",
        "postgres_password:",
        "redis_password:",
        "MINIO_USER:",
    ]


def test_a_service_without_dependencies_does_not_start(environ: pytest.MonkeyPatch) -> None:
    """It would always pass."""
    environ.delenv("DATABASE_URL")
    environ.delenv("REDIS_URL")
    assert problems() == [
        "DATABASE_URL, REDIS_URL, CHECKS, CHECKS_FILE: none of them is set. Set at least one."
    ]


def test_a_server_without_a_password_needs_no_secret(
    environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`POSTGRES_AUTH=none` is for trust and peer authentication."""
    (tmp_path / "postgres_password").unlink()
    environ.setenv("POSTGRES_AUTH", "none")
    assert "postgres_password" not in load().check_specs[0].secret_names


def test_a_header_may_use_any_file_of_the_folder(
    environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also one with the name of a variable. A missing file is reported."""
    (tmp_path / "home").write_text("word")
    headers = '{"x-key": "secret:home", "x-other": "Bearer secret:gone"}'
    environ.setenv("HTTP_CHECKS", f'{{"it": {{"url": "http://it/", "headers": {headers}}}}}')
    assert problems() == [
        f"gone: {tmp_path}/gone is missing. Write the secret into it, or mount it."
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "is missing. Write the secret into it, or mount it."),
        ("x" * 31, "is shorter than 32 bytes. Write a longer one."),
        ("\u00e9" * 16, None),
    ],
)
def test_authorized_details_need_a_signing_key(
    environ: pytest.MonkeyPatch, tmp_path: Path, content: str | None, problem: str | None
) -> None:
    """A key for HS256 has at least 32 bytes. The other values need none."""
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


def test_unparsable_checks_are_reported_once(environ: pytest.MonkeyPatch) -> None:
    """OPTIONAL_CHECKS is not validated while the checks are unknown."""
    environ.setenv("HTTP_CHECKS", '{"minio":')
    environ.setenv("OPTIONAL_CHECKS", "minio")
    assert problems() == ["HTTP_CHECKS: invalid JSON at line 1, column 10. Correct it."]


def test_a_check_uses_its_own_interval_and_timeout(environ: pytest.MonkeyPatch) -> None:
    """Each replaces the general one. A store without a URL has no schedule."""
    environ.delenv("REDIS_URL")
    environ.setenv("CHECK_INTERVAL", "7")
    environ.setenv("POSTGRES_CHECK_TIMEOUT", "3")
    environ.setenv("HTTP_CHECKS", '{"it": {"url": "http://it/", "interval": 2}}')
    terms = {spec.name: spec.options for spec in load().check_specs}
    assert {name: (one.interval, one.timeout) for name, one in terms.items()} == {
        "postgres": (7, 3),
        "it": (2, 1),
    }
