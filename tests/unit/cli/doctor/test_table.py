import json
import os
import re
import ssl
from pathlib import Path

import pytest
from trustme import CA

from app.settings import Settings
from tests.support.broken_settings import CANARY
from tests.unit.cli.conftest import Call
from tests.unit.cli.doctor.diagnosis import Ask, cells
from tests.unit.cli.scripted_server import answer, scripted_server


def test_a_healthy_setup_has_no_problems(
    well: pytest.MonkeyPatch, call: Call, tmp_path: Path
) -> None:
    """Each setting has a source, each secret a file, and each step a time."""
    well.setenv("FAILURE_THRESHOLD", "3")
    result = call("doctor")
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith("Nothing is wrong.\n")
    assert max(map(len, result.out.replace(str(tmp_path), "").splitlines())) <= 80
    for name in Settings.model_fields:
        assert len(cells(result.out, name.upper())) == 2
    assert cells(result.out, "FAILURE_THRESHOLD") == ["env", "3"]
    assert cells(result.out, "SUCCESS_THRESHOLD") == ["default", "1"]
    file = tmp_path / "redis_password"
    mode = f"{file.stat().st_mode & 0o7777:04o}"
    uid = str(os.geteuid())
    assert cells(result.out, "redis_password") == ["found", uid, mode, str(file)]
    absent = ["absent", "-", "-", f"{tmp_path}/jwt_secret"]
    assert cells(result.out, "jwt_secret") == absent
    for name in ("postgres", "redis"):
        dns, tcp, tls, auth, query, last = cells(result.out, name)
        assert (dns, tls, last) == ("none", "none", "pass")
        assert all(re.fullmatch(r"\d+\.\d", time) for time in (tcp, auth, query))


def test_the_json_document_has_the_same_facts(well: pytest.MonkeyPatch, call: Call) -> None:
    """A step that was not needed has no time. Resolving a name has one."""
    well.setenv("REDIS_URL", os.environ["REDIS_URL"].replace("127.0.0.1", "localhost"))
    well.setenv("POSTGRES_DEPTH", "connect")
    result = call("doctor", "--json")
    document = json.loads(result.out)
    assert (result.code, document["status"], document["uid"]) == (0, "pass", os.geteuid())
    assert document["settings"]["POSTGRES_DEPTH"] == {
        "value": "connect",
        "source": "environment",
        "notes": [],
        "problems": [],
    }
    assert list(document["checks"]["postgres"]["steps_ms"]) == ["tcp", "auth"]
    assert list(document["checks"]["redis"]["steps_ms"]) == ["dns", "tcp", "auth", "query"]
    assert document["checks"]["redis"]["failed"] is document["checks"]["redis"]["reason"] is None


def test_an_http_service_is_checked_too(ask: Ask, well: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither its headers nor the query of its URL are shown."""
    authority, served = CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.cert_pem.write_to_path(tmp_path / "root.pem")
    authority.issue_cert("localhost").configure_cert(served)
    (tmp_path / "token").write_text(CANARY)
    with (
        scripted_server([answer(200, "")], certificate=served) as port,
        scripted_server() as silent,
    ):
        checks = {
            "good": {"url": f"https://localhost:{port}/path?key={CANARY}"},
            "silent": {"url": f"http://127.0.0.1:{silent}/", "timeout": 0.5},
            "keyed": {
                "url": f"https://localhost:{port}/",
                "expect": 204,
                "headers": {"x-key": CANARY, "authorization": "Bearer secret:token"},
            },
        }
        well.setenv("HTTP_CHECKS", json.dumps(checks))
        untrusted = ask()
        well.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
        diagnosis = ask()
    rows = diagnosis["checks"]
    assert list(rows["good"]["steps_ms"]) == ["dns", "tcp", "tls", "query"]
    failures = {name: (row["failed"], row["reason"]) for name, row in rows.items() if row["failed"]}
    assert failures == {"keyed": ("query", "http_status"), "silent": ("query", "timeout")}
    assert untrusted["checks"]["good"]["failed"] == untrusted["checks"]["good"]["reason"] == "tls"
    assert diagnosis["secrets"]["token"]["state"] == "found"


def test_values_can_not_control_the_terminal(well: pytest.MonkeyPatch, call: Call) -> None:
    """They stay in their line."""
    well.setenv("OPTIONAL_CHECKS", "a\n\u2028port")
    result = call("doctor")
    assert "\u2028" not in result.out
    assert r"  ! OPTIONAL_CHECKS: a\n\u2028port" in result.out
    assert cells(result.out, "OPTIONAL_CHECKS") == ["env", r"a\n\u2028port"]
    value = json.loads(call("doctor", "--json").out)["settings"]["OPTIONAL_CHECKS"]["value"]
    assert value == "a\n\u2028port"
