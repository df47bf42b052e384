""".env.production.example lists every setting with its default."""

import re

import pytest

from app.settings import Settings
from app.settings.secrets import SECRETS
from tests.support.service import ROOT


TEMPLATE = (ROOT / ".env.production.example").read_text()
COMPOSE = "".join(path.read_text() for path in sorted(ROOT.glob("compose*.yaml")))

SHOWN = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", TEMPLATE, re.MULTILINE))
FIELDS = {name.upper(): field.default for name, field in Settings.model_fields.items()}
COMPOSED = dict(re.findall(r"(?<!\$)\$\{([A-Z_]+):?-([^}]*)\}", COMPOSE))

# They have examples of stores elsewhere: a container of Compose starts only without them.
STORES = {"DATABASE_URL", "REDIS_URL"}

# The image's defaults that differ from the service's.
IMAGE_DEFAULTS = {"HOST": "0.0.0.0"}  # noqa: S104  # in a container


# The variables of applications that grow in the template, by group.
FOR_APPLICATIONS = {
    "environment": {"ENVIRONMENT"},
    "URLs": {"FRONTEND_URL", "API_URL", "MONITORING_URL", "STATUS_URL"},
    "database pool": {
        *("DATABASE_POOL_SIZE", "DATABASE_MAX_OVERFLOW"),
        *("DATABASE_POOL_TIMEOUT", "DATABASE_POOL_RECYCLE"),
    },
    "MinIO": {"MINIO_ENDPOINT", "MINIO_BUCKET", "MINIO_SSL"},
    "Stack Auth": {"STACK_AUTH_PROJECT_ID", "STACK_AUTH_API_URL", "STACK_AUTH_PUBLISHABLE_KEY"},
    "TTN": {"TTN_APPLICATION_ID", "TTN_WEBHOOK_URL"},
    "Telnyx": {"TELNYX_MESSAGING_PROFILE_ID"},
    "features": {
        *("FEATURE_DEVICE_PROVISIONING", "FEATURE_SMS"),
        *("FEATURE_EMAIL", "FEATURE_WEBHOOKS"),
    },
    "monitoring": {
        *("APM_ENABLED", "APM_SERVER_URL", "SENTRY_ENVIRONMENT"),
        *("SENTRY_TRACES_SAMPLE_RATE", "METRICS_EXPORT_URL"),
    },
    "security": {
        *("CORS_ORIGINS", "RATE_LIMIT_PER_MINUTE", "SESSION_COOKIE_DOMAIN"),
        *("SESSION_COOKIE_SECURE", "SESSION_COOKIE_SAMESITE"),
    },
}


def test_it_lists_exactly_the_variables_of_the_service_and_the_compose_files() -> None:
    """It also lists those of applications, in a section of their own."""
    files = {f"{name.upper()}_FILE" for name in SECRETS}
    applications = set[str]().union(*FOR_APPLICATIONS.values())
    variables = FIELDS.keys() | COMPOSED.keys() | files | applications
    assert SHOWN.keys() == variables | {"COMPOSE_FILE"}
    section = TEMPLATE.partition("Vitals does not read these")[2].partition("# ---")[0]
    assert set(re.findall(r"^#([A-Z_]+)=", section, re.MULTILINE)) == applications


def test_every_variable_of_the_compose_files_has_a_default() -> None:
    """They must work in a fresh clone."""
    assert COMPOSED.keys() == set(re.findall(r"(?<!\$)\$\{?([A-Z_]+)", COMPOSE))


def test_a_copy_selects_the_files_of_production_and_changes_no_setting() -> None:
    uncommented = re.findall(r"^[^#\n].*", TEMPLATE, re.MULTILINE)
    assert uncommented == ["COMPOSE_FILE=compose.yaml:compose.production.yaml"]


DEFAULTS = {
    name: default
    for name, default in (FIELDS | COMPOSED | IMAGE_DEFAULTS).items()
    if default and name not in STORES
}


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_it_shows_the_default_of_the_service_or_the_compose_files(name: str) -> None:
    assert SHOWN[name] == str(DEFAULTS[name])


def test_the_service_accepts_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SHOWN.items():
        monkeypatch.setenv(name, value.strip("'"))
    settings = Settings()
    third_parties = {"minio", "stack_auth", "ttn", "telnyx"}
    checks = {spec.name: spec.options for spec in settings.check_specs}
    assert checks.keys() > third_parties
    assert {(checks[name].required, checks[name].interval) for name in third_parties} == {
        (False, 60)
    }


def test_it_has_no_variable_for_a_secret() -> None:
    """The service rejects secrets in the environment."""
    assert not SHOWN.keys() & {name.upper() for name in SECRETS}
