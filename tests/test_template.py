""".env.production.example names all that can be set, and nothing else."""

import re

import pytest

from app.settings import Settings
from app.settings.secrets import SECRETS
from tests.service import ROOT


TEMPLATE = (ROOT / ".env.production.example").read_text()
COMPOSE = "".join(path.read_text() for path in sorted(ROOT.glob("compose*.yaml")))

SHOWN = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", TEMPLATE, re.MULTILINE))
FIELDS = {name.upper(): field.default for name, field in Settings.model_fields.items()}
COMPOSED = dict(re.findall(r"(?<!\$)\$\{([A-Z_]+):-([^}]*)\}", COMPOSE))

# What the image or the file of compose decides otherwise than a service that is started by hand.
OTHERWISE = {"HOST": "0.0.0.0"}  # noqa: S104  # in a container


def test_it_names_what_the_service_and_the_compose_files_read() -> None:
    """No variable that they read is missing, and none is there that nothing reads."""
    files = {f"{name.upper()}_FILE" for name in SECRETS}
    assert SHOWN.keys() == FIELDS.keys() | COMPOSED.keys() | files


def test_every_variable_of_the_compose_files_has_a_default() -> None:
    """So that they work where nothing is prepared."""
    assert COMPOSED.keys() == set(re.findall(r"(?<!\$)\$\{?([A-Z_]+)", COMPOSE))


def test_nothing_in_it_takes_effect_by_itself() -> None:
    """A copy changes nothing until somebody takes a # away."""
    assert not re.findall(r"^[^#\n].*", TEMPLATE, re.MULTILINE)


DEFAULTS = {name: default for name, default in (FIELDS | COMPOSED | OTHERWISE).items() if default}


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_what_it_shows_is_the_default(name: str) -> None:
    """What the service takes, or what the compose files and the image do, where there is any."""
    assert SHOWN[name] == str(DEFAULTS[name])


def test_what_it_shows_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the examples too."""
    for name, value in SHOWN.items():
        monkeypatch.setenv(name, value.strip("'"))
    settings = Settings()
    assert {target.name for target in settings.http_targets} == {"minio", "stack_auth"}
    assert settings.optional < {"redis", "stack_auth", "minio", "postgres"}


def test_it_holds_no_secret() -> None:
    """Nor a place for one: a secret in the environment is refused."""
    assert not SHOWN.keys() & {name.upper() for name in SECRETS}
