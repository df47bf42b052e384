"""CAs, client certificates and their keys in secrets: `secret:NAME`."""

import json
from pathlib import Path

import pytest
from trustme import CA

from app.cli.doctor import key_hints
from app.settings import ConfigurationError, load
from app.settings.secrets import find_hints


NAMES = {"ca": "own-ca", "certificate": "own.certificate", "key": "own_key"}


@pytest.fixture(name="folder")
def _folder(environ: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Configure a check whose files are secrets."""
    environ.delenv("DATABASE_URL")
    environ.delenv("REDIS_URL")
    own = CA()
    issued = own.issue_cert("client")
    own.cert_pem.write_to_path(tmp_path / NAMES["ca"])
    issued.cert_chain_pems[0].write_to_path(tmp_path / NAMES["certificate"])
    issued.private_key_pem.write_to_path(tmp_path / f"{NAMES['key']}.txt")
    files = {option: f"secret:{name}" for option, name in NAMES.items()}
    environ.setenv("CHECKS", json.dumps({"it": {"url": "https://host", **files}}))
    return tmp_path


def problems() -> list[str]:
    """Return what is wrong with the environment."""
    with pytest.raises(ConfigurationError) as caught:
        load()
    return caught.value.problems


def test_each_file_may_be_a_secret(folder: Path) -> None:
    """It is one of the needed secrets. The name may lack the ending `.txt`."""
    settings = load()
    [spec] = settings.check_specs
    paths = [str(folder / name) for name in ("own-ca", "own.certificate", "own_key.txt")]
    assert list(spec.options.model_dump(include={*NAMES}).values()) == paths
    assert set(settings.secret_names) >= {*NAMES.values()}


def test_doctor_reports_a_key_that_others_can_read(folder: Path) -> None:
    """It is accepted."""
    [spec] = load().check_specs
    (folder / "own_key.txt").chmod(0o444)
    [hint] = key_hints(spec)
    assert hint.endswith("(mode 0444). Set its mode to 0400 unless it is a mounted secret.")


def test_certificates_have_no_hints_of_passwords(folder: Path) -> None:
    """They have several lines."""
    for name in ("own-ca", "own_key.txt"):
        assert not list(find_hints((folder / name).read_text().removesuffix("\n")))


@pytest.mark.parametrize("option", NAMES)
def test_a_missing_secret_is_one_problem(folder: Path, option: str) -> None:
    name = NAMES[option]
    [file] = folder.glob(f"{name}*")
    file.unlink()
    assert problems() == [
        f"{name}: {folder / name} is missing. Write the secret into it, or mount it."
    ]


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("ca", "CHECKS: it: ca: the file can't be used. Mount a PEM file there, or correct"),
        ("certificate", "CHECKS: it: certificate: the client certificate can't be used. Mount"),
    ],
)
def test_a_secret_that_is_no_certificate_is_a_problem(
    folder: Path, option: str, problem: str
) -> None:
    (folder / NAMES[option]).write_text("password")
    [line] = problems()
    assert line.startswith(problem)


def test_a_kind_without_files_refuses_a_secret_for_one(
    environ: pytest.MonkeyPatch, folder: Path
) -> None:
    (folder / "postgres_password").write_text("secret")
    options = {"url": "redis://host", "auth": "none", "ca": "secret:own-ca"}
    environ.setenv("CHECKS", json.dumps({"it": options}))
    [line] = problems()
    assert line.startswith("CHECKS: it: has an unknown option: ca.")


def test_a_url_in_a_secret_may_have_files_in_secrets(
    environ: pytest.MonkeyPatch, folder: Path
) -> None:
    (folder / "whole_url").write_text("tls://host:1")
    environ.setenv("CHECKS", json.dumps({"it": {"url": "secret:whole_url", "ca": "secret:own-ca"}}))
    [spec] = load().check_specs
    assert spec.secret_names == {"whole_url"}
    assert spec.options.model_dump()["ca"] == str(folder / "own-ca")
