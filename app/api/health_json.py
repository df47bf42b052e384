"""application/health+json, the shape of the IETF's draft draft-inadarei-api-health-check-06."""

import json
from typing import Any

from app.api.bodies import moment
from app.api.findings import Finding
from app.health import Observation, Status
from app.lifecycle import Phase


# What a required check takes down with it.
AFFECTED = ["/health", "/health/ready"]


def write(finding: Finding) -> bytes:
    """Write a finding down in the draft's shape, which knows `pass`, `warn` and `fail` alone."""
    body: dict[str, Any] = {"status": _word(finding.status)}
    if finding.report is not None:
        body["checks"] = {
            f"{known.check.name}:responseTime": [_measured(known)]
            for known in finding.report.checks
        }
        if finding.phase is not Phase.SERVING and not finding.alone:
            body["output"] = finding.phase
        if finding.warnings:
            body["notes"] = finding.warnings
    if finding.detail:
        body["output"] = finding.detail
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _measured(known: Observation) -> dict[str, Any]:
    measured: dict[str, Any] = {"componentType": "component", "status": _word(known.status)}
    if known.observed:
        measured["observedValue"] = round(known.latency * 1000, 2)
        measured["observedUnit"] = "ms"
        measured["time"] = moment(known.observed)
    if known.status is not Status.PASS:
        measured["output"] = known.reason or known.status.word
        if known.check.required:
            measured["affectedEndpoints"] = AFFECTED
    return measured


def _word(status: Status) -> str:
    return (Status.FAIL if status is Status.UNKNOWN else status).word
