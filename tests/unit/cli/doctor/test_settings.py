import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.broken_settings import BROKEN, CANARY
from tests.support.devservers import Postgres
from tests.unit.cli.conftest import Call
from tests.unit.cli.doctor.diagnosis import Ask, cells, parse, problems_by_row, run
from tests.unit.cli.test_secrets_check import PLAINLY


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        *BROKEN,
        (
            "HTTP_CHECKS",
            '{"minio":',
            "HTTP_CHECKS: invalid JSON at line 1, column 10. Correct it.",
        ),
        (
            "DATABASE_URL",
            "postgresql://user@host/db?sslmode=verify-full&sslrootcert=/nowhere/root.pem",
            (
                "DATABASE_URL: sslrootcert: the file can't be used. "
                "Mount a PEM file there, or correct the path."
            ),
        ),
    ],
)
def test_an_invalid_setting_is_reported_beside_the_others(
    ask: Ask, well: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    """Serve would not start. The checks with valid settings run anyway."""
    well.setenv(name, value)
    diagnosis = ask()
    row = diagnosis["settings"][name]
    assert row["source"] == "environment"
    assert row["value"] == (value if "is not a check" in line else "rejected")
    assert problems_by_row(diagnosis) == {name: line}
    stores = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}
    asked = {store for store, url in stores.items() if url != name}
    assert diagnosis["checks"].keys() == asked


def test_a_missing_dependency_is_reported(ask: Ask, well: pytest.MonkeyPatch) -> None:
    """There is nothing to check."""
    well.delenv("DATABASE_URL")
    well.delenv("REDIS_URL")
    line = "DATABASE_URL, REDIS_URL, CHECKS, CHECKS_FILE: none of them is set. Set at least one."
    assert problems_by_row(ask()) == {"DATABASE_URL": line}


@pytest.mark.parametrize(
    ("harm", "state", "problem"),
    [
        (Path.unlink, "absent", "is missing. Write the secret into it, or mount it."),
        (lambda file: file.write_text(""), "found", "is empty. Write the secret into it."),
    ],
    ids=["absent", "empty"],
)
def test_an_unusable_secret_is_reported(
    ask: Ask, tmp_path: Path, harm: Callable[[Path], Any], state: str, problem: str
) -> None:
    """Its check makes no attempt."""
    file = tmp_path / "redis_password"
    harm(file)
    diagnosis = ask()
    assert diagnosis["secrets"]["redis_password"]["state"] == state
    assert diagnosis["checks"]["redis"]["steps_ms"] == {}
    assert problems_by_row(diagnosis) == {
        "redis_password": f"redis_password: {file} {problem}",
        "redis": "No attempt was made. Its secret can't be read or can't be sent.",
    }


def test_a_secret_with_two_files_is_reported(ask: Ask, tmp_path: Path) -> None:
    """With both files."""
    (tmp_path / "redis_password.txt").write_text("word")
    diagnosis = ask()
    row = diagnosis["secrets"]["redis_password"]
    assert (row["state"], row["file"]) == ("unclear", None)
    two = f"{tmp_path}/redis_password and {tmp_path}/redis_password.txt"
    assert (
        problems_by_row(diagnosis)["redis_password"]
        == f"redis_password: {two} both offer it. Keep one."
    )


def test_a_second_file_is_reported_with_its_variable(
    ask: Ask, well: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The path alone would not lead to the variable."""
    (tmp_path / "other").write_text("word")
    well.setenv("REDIS_PASSWORD_FILE", f"{tmp_path}/other")
    two = f"{tmp_path}/other (REDIS_PASSWORD_FILE) and {tmp_path}/redis_password"
    assert (
        problems_by_row(ask())["redis_password"]
        == f"redis_password: {two} both offer it. Keep one."
    )


def test_hints_are_shown_for_a_refused_password(ask: Ask, call: Call, tmp_path: Path) -> None:
    """Below its file, and with the advice of the failed check."""
    file = tmp_path / "redis_password"
    file.write_text(f"'{file.read_text()}'\n\n")
    diagnosis = ask()
    hints = [
        "begins or ends with a space or a line break, which is part of the secret. Remove it.",
        "is in quotes, which are part of the secret. Remove them.",
    ]
    row = diagnosis["secrets"]["redis_password"]
    assert row["problems"] == []
    assert row["notes"] == [f"redis_password: {file} {hint}" for hint in hints]
    assert diagnosis["checks"]["redis"]["reason"] == "auth"
    said = problems_by_row(diagnosis)["redis"]
    assert all(f"The secret's file {hint}" in said for hint in hints)
    shown = " ".join(call("doctor").out.split())
    assert f"* redis_password: {file} {hints[0]}" in shown
    assert shown.endswith("Possible problems are marked with *.")


def test_a_hint_alone_is_no_failure(well: pytest.MonkeyPatch, call: Call, tmp_path: Path) -> None:
    """The content may be intended."""
    del well
    (tmp_path / "minio_user").write_text("'minio'")
    code, out, _ = call("doctor")
    assert code == 0
    assert "Nothing is wrong.\nPossible problems are marked with *.\n" in out


def test_a_misspelled_setting_is_a_note(well: pytest.MonkeyPatch, call: Call) -> None:
    """Below the setting or the secret, in the table and in the JSON document. It is no failure."""
    well.setenv("CHECK_INTERVALL", CANARY)
    well.setenv("REDIS_PASWORD_FILE", CANARY)
    shown, document = call("doctor"), call("doctor", "--json")
    assert (shown.code, document.code) == (0, 0)
    note = "CHECK_INTERVALL: unknown variable. Did you mean CHECK_INTERVAL?"
    other = "REDIS_PASWORD_FILE: unknown variable. Did you mean REDIS_PASSWORD_FILE?"
    assert f"\n  * {note}\n" in shown.out
    assert f"\n  * {other}\n" in shown.out
    assert shown.out.endswith("Nothing is wrong.\nPossible problems are marked with *.\n")
    diagnosis = json.loads(document.out)
    assert diagnosis["settings"]["CHECK_INTERVAL"]["notes"] == [note]
    assert diagnosis["secrets"]["redis_password"]["notes"] == [other]
    assert CANARY not in shown.out + document.out


def test_a_secret_in_the_environment_is_reported(ask: Ask, well: pytest.MonkeyPatch) -> None:
    """Its value is not shown."""
    well.setenv("MINIO_USER", CANARY)
    line = (
        "MINIO_USER: a secret is not allowed in the environment. Unset it, and use a file instead."
    )
    assert problems_by_row(ask()) == {"minio_user": line}


def test_an_unreadable_secret_is_reported(well: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the user and the owner."""
    del well
    if PLAINLY and not shutil.which(PLAINLY[0]):
        pytest.skip("root can't be made to obey modes here")
    file, uid = tmp_path / "redis_password", os.geteuid()
    file.chmod(0)
    runs = [run(*more, before=PLAINLY) for more in ((), ("--json",))]
    file.chmod(0o444)
    diagnosis = parse(runs[0], runs[1], tmp_path)
    row = diagnosis["secrets"]["redis_password"]
    assert (row["owner"], row["mode"], row["file"]) == (uid, "0000", str(file))
    assert problems_by_row(diagnosis)["redis_password"] == (
        f"redis_password: {file} can't be read by uid {uid} (owner {uid}, mode 0000). "
        "Set its mode to 0444, and that of its folder to 0700."
    )
    assert f"The secrets are read as uid {uid}.\n" in runs[0].out


def test_files_in_a_closed_folder_are_hidden(well: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is known about them."""
    if PLAINLY and not shutil.which(PLAINLY[0]):
        pytest.skip("root can't be made to obey modes here")
    well.setenv("JWT_SECRET_FILE", str(tmp_path / "closed" / "jwt"))
    (tmp_path / "closed").mkdir(0)
    result = run(before=PLAINLY)
    assert cells(result.out, "jwt_secret")[0] == "hidden"


def test_the_checks_of_a_file_are_listed(
    ask: Ask, well: pytest.MonkeyPatch, postgres: Postgres, tmp_path: Path
) -> None:
    """With scheme, host, port and database. A URL from a secret has no user, query or password."""
    address = postgres.url.partition("@")[2]
    password = postgres.password_file.read_text()
    (tmp_path / "orders_url").write_text(f"postgres://vitals:{password}@{address}?sslmode=prefer")
    (tmp_path / "checks.toml").write_text(f"""
        [checks.orders]
        url = "secret:orders_url"
        [checks.kafka]
        url = "tcp://{address.partition("/")[0]}"
        [checks.gone]
        url = "secret:gone_url"
    """)
    for name in ("DATABASE_URL", "REDIS_URL"):
        well.delenv(name)
    well.setenv("CHECKS_FILE", str(tmp_path / "checks.toml"))
    diagnosis = ask()
    kafka = f"tcp://{address.partition('/')[0]}"
    assert diagnosis["settings"]["CHECKS_FILE"]["value"] == (
        f"{tmp_path}/checks.toml: orders: postgres://{address}, kafka: {kafka}"
    )
    reasons = {name: row["reason"] for name, row in diagnosis["checks"].items()}
    assert reasons == {"orders": None, "kafka": None}
    states = {name: diagnosis["secrets"][name]["state"] for name in ("orders_url", "gone_url")}
    assert states == {"orders_url": "found", "gone_url": "absent"}
    line = f"gone_url: {tmp_path}/gone_url is missing. Write the secret into it, or mount it."
    assert problems_by_row(diagnosis) == {"gone_url": line}
