"""The environment variables that name the files of secrets, or hold a secret by mistake."""

import json
from pathlib import Path

import pytest

from app.settings import ConfigurationError, load
from tests.support.broken_settings import CANARY


@pytest.fixture(name="elsewhere")
def _elsewhere(tmp_path: Path) -> Path:
    """Create a folder for files outside of the folder of secrets."""
    (folder := tmp_path / "elsewhere").mkdir()
    return folder


@pytest.mark.parametrize(
    ("options", "content"),
    [
        ({"url": "secret:own"}, f"https://host/{CANARY}"),
        ({"url": "https://host", "headers": {"authorization": "Bearer secret:own"}}, CANARY),
        ({"url": "redis://host", "password": "own"}, CANARY),
    ],
    ids=["url", "header", "password"],
)
@pytest.mark.parametrize("variable", ["OWN_FILE", "own_file"])
def test_a_variable_names_the_file_of_any_secret(
    environ: pytest.MonkeyPatch,
    elsewhere: Path,
    options: dict[str, object],
    content: str,
    variable: str,
) -> None:
    """In any case, as the settings. A variable with the name of the secret itself is unrelated."""
    file = elsewhere / "file"
    environ.setenv("CHECKS", json.dumps({"a": options}))
    environ.setenv("OWN", "unrelated")
    environ.setenv(variable, str(file))
    with pytest.raises(ConfigurationError) as caught:
        load()
    line = f"own: {file} (OWN_FILE) is missing. Write the secret into it, or mount it."
    assert caught.value.problems == [line]
    file.write_text(content)
    assert load().read_secret("own") == content


@pytest.mark.parametrize("name", ["heartbeat_url", "notify_url", "a_sentinel_password"])
def test_a_variable_that_names_no_file_is_reported(
    environ: pytest.MonkeyPatch, elsewhere: Path, name: str
) -> None:
    """Also of a secret that may be missing: without the variable, nothing would be wrong."""
    checks = {"a": {"url": "redis+sentinel://host/main", "password": "redis_password"}}
    environ.setenv("CHECKS", json.dumps(checks))
    load()
    environ.setenv(f"{name.upper()}_FILE", str(elsewhere / "no"))
    with pytest.raises(ConfigurationError) as caught:
        load()
    place = f"{elsewhere / 'no'} ({name.upper()}_FILE)"
    line = f"{name}: {place} is missing. Write the secret into it, or mount it."
    assert caught.value.problems == [line]


def test_a_secret_in_a_variable_in_lower_case_is_refused(environ: pytest.MonkeyPatch) -> None:
    """The settings are read in any case, so that it may look as if it worked."""
    environ.setenv("redis_password", CANARY)
    with pytest.raises(ConfigurationError) as caught:
        load()
    [line] = caught.value.problems
    assert line.startswith("REDIS_PASSWORD: a secret is not allowed in the environment.")
