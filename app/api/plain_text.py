"""text/plain: a line for each check, as Kubernetes' own health checks read."""

import re

from app.api.findings import Finding
from app.health import Observation, Status
from app.lifecycle import Phase


def write(finding: Finding) -> bytes:
    """Write a finding down in lines; the last one sums up."""
    lines = []
    if finding.report is not None:
        lines = [_line(known) for known in finding.report.checks]
        if finding.phase is not Phase.SERVING and not finding.alone:
            lines.append(f"[-]phase failed: {finding.phase}")
        # What was asked for must not make lines of its own.
        lines += [re.sub("[^ -~]", "?", f"warn: {warning}") for warning in finding.warnings]
    if finding.detail:
        lines.append(f"[-]lifespan failed: {finding.detail}")
    lines.append(f"health check {'passed' if finding.passes else 'failed'}\n")
    return "\n".join(lines).encode()


def _line(known: Observation) -> str:
    if known.status is Status.PASS:
        return f"[+]{known.check.name} ok"
    severity = "failed" if known.check.required else "warn"
    return f"[-]{known.check.name} {severity}: {known.reason or known.status.word}"
