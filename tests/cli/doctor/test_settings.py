import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.broken_settings import BROKEN, CANARY
from tests.cli.conftest import Call
from tests.cli.doctor.diagnosis import Ask, cells, judged, run, wrong
from tests.cli.test_secrets_check import PLAINLY


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        *BROKEN,
        (
            "HTTP_CHECKS",
            '{"minio":',
            "HTTP_CHECKS is not JSON from line 1, column 10 on: correct it",
        ),
        (
            "DATABASE_URL",
            "postgresql://user@host/db?sslmode=verify-full&sslrootcert=/nowhere/root.pem",
            (
                "DATABASE_URL names a sslrootcert that can't be used: "
                "mount a PEM file there, or correct the path"
            ),
        ),
    ],
)
def test_a_bad_setting_is_told_and_the_rest_is_shown(
    ask: Ask, well: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    """What the service would not start with; the checks that can be put are put."""
    well.setenv(name, value)
    diagnosis = ask()
    row = diagnosis["settings"][name]
    assert row["source"] == "environment"
    assert row["value"] == (value if name == "OPTIONAL_CHECKS" else "rejected")
    assert wrong(diagnosis) == {name: line}
    stores = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}
    asked = {store for store, url in stores.items() if url != name}
    assert diagnosis["checks"].keys() == asked


def test_no_dependency_at_all_is_told(ask: Ask, well: pytest.MonkeyPatch) -> None:
    """Nothing could be asked."""
    well.delenv("DATABASE_URL")
    well.delenv("REDIS_URL")
    line = "DATABASE_URL, REDIS_URL and HTTP_CHECKS are not set: set at least one to check"
    assert wrong(ask()) == {"DATABASE_URL": line}


@pytest.mark.parametrize(
    ("harm", "state", "problem"),
    [
        (Path.unlink, "absent", "is missing: write the secret into it, or mount it"),
        (lambda file: file.write_text(""), "found", "is empty: write the secret into it"),
    ],
    ids=["absent", "empty"],
)
def test_a_secret_that_can_not_be_used_is_told(
    ask: Ask, tmp_path: Path, harm: Callable[[Path], Any], state: str, problem: str
) -> None:
    """Its check is not asked, and says so."""
    file = tmp_path / "redis_password"
    harm(file)
    diagnosis = ask()
    assert diagnosis["secrets"]["redis_password"]["state"] == state
    assert diagnosis["checks"]["redis"]["steps_ms"] == {}
    assert wrong(diagnosis) == {
        "redis_password": f"redis_password: {file} {problem}",
        "redis": "Nothing was asked: its secret can't be read, or holds what can't be sent.",
    }


def test_a_secret_of_two_sources_is_told(ask: Ask, tmp_path: Path) -> None:
    """With both of them."""
    (tmp_path / "redis_password.txt").write_text("word")
    diagnosis = ask()
    row = diagnosis["secrets"]["redis_password"]
    assert (row["state"], row["file"]) == ("unclear", None)
    two = f"{tmp_path}/redis_password and {tmp_path}/redis_password.txt"
    assert wrong(diagnosis)["redis_password"] == f"redis_password: {two} both offer it: keep one"


def test_a_secret_of_a_variable_and_the_folder_names_both(
    ask: Ask, well: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The variable, because no one finds it by the path."""
    (tmp_path / "other").write_text("word")
    well.setenv("REDIS_PASSWORD_FILE", f"{tmp_path}/other")
    two = f"{tmp_path}/other (REDIS_PASSWORD_FILE) and {tmp_path}/redis_password"
    assert wrong(ask())["redis_password"] == f"redis_password: {two} both offer it: keep one"


def test_a_refused_password_that_looks_wrong_is_hinted_at(
    ask: Ask, call: Call, tmp_path: Path
) -> None:
    """Below its file, and with the advice of the check that it failed."""
    file = tmp_path / "redis_password"
    file.write_text(f"'{file.read_text()}'\n\n")
    diagnosis = ask()
    hints = [
        "begins or ends with a blank or a line break, which is part of it: remove it",
        "stands in quotes, which are part of it: remove them",
    ]
    row = diagnosis["secrets"]["redis_password"]
    assert row["problems"] == []
    assert row["notes"] == [f"redis_password: {file} {hint}" for hint in hints]
    assert diagnosis["checks"]["redis"]["reason"] == "auth"
    said = wrong(diagnosis)["redis"]
    assert all(f"The secret's file {hint}." in said for hint in hints)
    shown = " ".join(call("doctor").out.split())
    assert f"* redis_password: {file} {hints[0]}" in shown
    assert shown.endswith("What may be wrong is marked with *")


def test_a_hint_alone_is_no_failure(well: pytest.MonkeyPatch, call: Call, tmp_path: Path) -> None:
    """The file may hold what is meant."""
    del well
    (tmp_path / "minio_user").write_text("'minio'")
    code, out, _ = call("doctor")
    assert code == 0
    assert "Nothing is wrong.\nWhat may be wrong is marked with *\n" in out


def test_a_secret_in_the_environment_is_told(ask: Ask, well: pytest.MonkeyPatch) -> None:
    """And not shown."""
    well.setenv("MINIO_USER", CANARY)
    line = "MINIO_USER: a secret has no place in the environment: unset it, use a file"
    assert wrong(ask()) == {"minio_user": line}


def test_a_secret_that_may_not_be_read_is_told(well: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By whom, and whose it is."""
    del well
    if PLAINLY and not shutil.which(PLAINLY[0]):
        pytest.skip("root can't be made to obey modes here")
    file, uid = tmp_path / "redis_password", os.geteuid()
    file.chmod(0)
    runs = [run(*more, before=PLAINLY) for more in ((), ("--json",))]
    file.chmod(0o444)
    diagnosis = judged(runs[0], runs[1], tmp_path)
    row = diagnosis["secrets"]["redis_password"]
    assert (row["owner"], row["mode"], row["file"]) == (uid, "0000", str(file))
    assert wrong(diagnosis)["redis_password"] == (
        f"redis_password: {file} can't be read by uid {uid} (owner {uid}, mode 0000): "
        "chmod 0444 it and keep its folder 0700"
    )
    assert f"Secrets are read by uid {uid}.\n" in runs[0].out


def test_a_folder_that_can_not_be_entered_hides_its_files(
    well: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing can be said of them, and that is said."""
    if PLAINLY and not shutil.which(PLAINLY[0]):
        pytest.skip("root can't be made to obey modes here")
    well.setenv("JWT_SECRET_FILE", str(tmp_path / "closed" / "jwt"))
    (tmp_path / "closed").mkdir(0)
    result = run(before=PLAINLY)
    assert cells(result.out, "jwt_secret")[0] == "hidden"
