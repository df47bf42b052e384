""".env.production.example lists every setting with its default."""

import re

import pytest

from app.settings import Settings
from app.settings.secrets import SECRETS
from tests.service import ROOT


TEMPLATE = (ROOT / ".env.production.example").read_text()
COMPOSE = "".join(path.read_text() for path in sorted(ROOT.glob("compose*.yaml")))

SHOWN = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", TEMPLATE, re.MULTILINE))
FIELDS = {name.upper(): field.default for name, field in Settings.model_fields.items()}
COMPOSED = dict(re.findall(r"(?<!\$)\$\{([A-Z_]+):?-([^}]*)\}", COMPOSE))

# The image's defaults that differ from the service's.
IMAGE_DEFAULTS = {"HOST": "0.0.0.0"}  # noqa: S104  # in a container


def test_it_lists_exactly_the_variables_of_the_service_and_the_compose_files() -> None:
    files = {f"{name.upper()}_FILE" for name in SECRETS}
    assert SHOWN.keys() == FIELDS.keys() | COMPOSED.keys() | files


def test_every_variable_of_the_compose_files_has_a_default() -> None:
    """They must work in a fresh clone."""
    assert COMPOSED.keys() == set(re.findall(r"(?<!\$)\$\{?([A-Z_]+)", COMPOSE))


def test_every_variable_in_it_is_commented_out() -> None:
    """A copy of the template changes no setting."""
    assert not re.findall(r"^[^#\n].*", TEMPLATE, re.MULTILINE)


DEFAULTS = {
    name: default for name, default in (FIELDS | COMPOSED | IMAGE_DEFAULTS).items() if default
}


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_it_shows_the_default_of_the_service_or_the_compose_files(name: str) -> None:
    assert SHOWN[name] == str(DEFAULTS[name])


def test_the_service_accepts_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SHOWN.items():
        monkeypatch.setenv(name, value.strip("'"))
    settings = Settings()
    assert {spec.name for spec in settings.check_specs} >= {"minio", "stack_auth"}
    assert settings.optional < {"redis", "stack_auth", "minio", "postgres"}


def test_it_has_no_variable_for_a_secret() -> None:
    """The service rejects secrets in the environment."""
    assert not SHOWN.keys() & {name.upper() for name in SECRETS}
