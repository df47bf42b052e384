"""Certificates that are about to expire, on a real TLS server."""

import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.private_ca import DAY, PrivateCA
from tests.support.service import Service, running, wait_for
from tests.support.tls_server import TlsServer
from tests.unit.cli.conftest import end, start


YEAR = 365 * DAY
MINUTES = timedelta(minutes=10)


@pytest.fixture(name="authority")
def _authority(tmp_path: Path) -> PrivateCA:
    authority = PrivateCA()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    return authority


@contextlib.contextmanager
def serve(
    authority: PrivateCA, folder: Path, left: timedelta, validity: timedelta = YEAR
) -> Iterator[tuple[Service, TlsServer]]:
    """Run a service with a check of a TLS server whose certificate has so much time left."""
    file = authority.issue(folder / "server.pem", "127.0.0.1", begins=left - validity, ends=left)
    with (
        TlsServer(file) as server,
        running(environ(folder, server.port), folder / "log") as service,
    ):
        yield service, server


def environ(folder: Path, port: int) -> Any:
    """Return the settings of a check of a TLS server."""
    checks = {"payments": {"url": f"https://127.0.0.1:{port}/", "ca": str(folder / "ca.pem")}}
    return {"CHECKS": json.dumps(checks), "CHECK_INTERVAL": "0.2", "DRAIN_SECONDS": "0"}


@pytest.mark.parametrize(
    ("left", "validity", "status"),
    [
        (40 * DAY, YEAR, "pass"),
        (10 * DAY, YEAR, "warn"),
        (MINUTES, YEAR, "warn"),
        (DAY / 2, DAY, "pass"),
        (MINUTES, DAY, "warn"),
    ],
)
def test_a_certificate_about_to_expire_is_a_warning(
    authority: PrivateCA, tmp_path: Path, left: timedelta, validity: timedelta, status: str
) -> None:
    """In JSON, text, page, metrics and doctor, which all pass; readiness stays 200."""
    with serve(authority, tmp_path, left, validity) as (service, server):
        service.until("payments", None, 10)
        body = service.ask("/health").json
        assert body["status"] == status
        expiry = body["checks"]["payments"]["certificate_expires_at"]
        lines = [f"the certificate of payments expires at {expiry}"] if status == "warn" else []
        assert body.get("warnings", []) == lines
        assert service.ask("/health/ready").code == 200
        assert service.ask("/health/checks/payments").json["certificate_expires_at"] == expiry
        text = service.ask("/health", Accept="text/plain").body.decode()
        assert [line for line in text.splitlines() if line.startswith("warn")] == [
            f"warn: {line}" for line in lines
        ]
        page = service.ask("/health", Accept="text/html").body.decode()
        assert f"certificate until {expiry[:10]}" in page
        assert ("Renew the certificate of payments." in page) is bool(lines)
        metrics = service.ask("/metrics").body.decode()
        expiring = f'health_check_certificate_expiring{{check="payments"}} {len(lines)}.0'
        assert expiring in metrics
        assert 'health_check_certificate_expiry_timestamp_seconds{check="payments"} ' in metrics
        doctor = end(start("doctor", **environ(tmp_path, server.port)))
    assert doctor.code == 0
    assert f"  * The certificate expires at {expiry}." in doctor.out


@pytest.mark.parametrize("validity", [YEAR, DAY])
def test_an_expired_certificate_is_a_failure(
    authority: PrivateCA, tmp_path: Path, validity: timedelta
) -> None:
    """In JSON, page, metrics and doctor. No end of it is shown, since it is not trusted."""
    with serve(authority, tmp_path, -MINUTES, validity) as (service, server):
        service.until("payments", "tls", 10)
        body = service.ask("/health").json
        assert (body["status"], body.get("warnings", [])) == ("fail", [])
        assert "certificate_expires_at" not in body["checks"]["payments"]
        assert service.ask("/health/ready").code == 503
        page = service.ask("/health", Accept="text/html").body.decode()
        assert "Check the names and dates in its certificate" in page
        metrics = service.ask("/metrics").body.decode()
        assert 'health_check_reason{check="payments",reason="tls"} 1.0' in metrics
        assert 'health_check_certificate_expiring{check="payments"}' not in metrics
        doctor = end(start("doctor", **environ(tmp_path, server.port)))
    assert doctor.code == 1
    assert "Check the names and dates in its certificate" in doctor.out


def test_an_expired_certificate_fails_and_a_renewed_one_passes(
    authority: PrivateCA, tmp_path: Path
) -> None:
    """It really expires, while the service runs."""
    with serve(authority, tmp_path, 40 * DAY) as (service, server):
        service.until("payments", None, 10)
        # Issued now, as it could expire before a service on a busy machine has started.
        soon = timedelta(seconds=6)
        server.use(authority.issue(tmp_path / "soon.pem", "127.0.0.1", begins=-YEAR, ends=soon))
        wait_for(lambda: bool(service.ask("/health/ready").json["status"] == "warn"))
        service.until("payments", "tls", 8)
        assert service.ask("/health/ready").code == 503
        server.use(authority.issue(tmp_path / "renewed.pem", "127.0.0.1", ends=40 * DAY))
        service.until("payments", None, 3)
        assert service.ask("/health/ready").json["status"] == "pass"


def test_no_certificate_is_shown_without_tls_or_details(
    authority: PrivateCA, tmp_path: Path
) -> None:
    """Only the status shows the warning to others."""
    file = authority.issue(tmp_path / "server.pem", "127.0.0.1", begins=-YEAR, ends=10 * DAY)
    with TlsServer(file) as server:
        settings = {**environ(tmp_path, server.port), "HEALTH_DETAILS": "never"}
        with running(settings, tmp_path / "log") as service:
            wait_for(lambda: service.ask("/health").json == {"status": "warn"}, 10)
            assert "certificate" not in service.ask("/metrics").body.decode()
