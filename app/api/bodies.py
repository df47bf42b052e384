"""The bodies of the answers in JSON, as they are written and as OpenAPI documents them."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.health import Instant, Observation, Reason, Report, Status
from app.lifecycle import Phase


def one_of(*words: str) -> Any:
    """Document the words that a text is one of."""
    return Field(json_schema_extra={"enum": list(words)})


Moment = Annotated[str, Field(examples=["2026-11-23T10:00:00.120Z"])]


class StatusBody(BaseModel):
    """A status and nothing else."""

    status: Annotated[str, one_of("pass", "fail")]

    @classmethod
    def of(cls, *, passes: bool) -> "StatusBody":
        """Say pass or fail."""
        return cls(status="pass" if passes else "fail")


class CheckBody(BaseModel):
    """What is known of one dependency.

    `reason`, `latency_ms`, `observed_at` and `failures` are absent where there is nothing to tell.
    """

    status: Annotated[str, one_of("pass", "fail", "unknown")]
    required: bool
    reason: Reason | None = None
    latency_ms: Annotated[float | None, Field(ge=0)] = None
    observed_at: Moment | None = None
    since: Moment
    failures: Annotated[int | None, Field(ge=1)] = None

    @classmethod
    def of(cls, known: Observation) -> "CheckBody":
        """Write down what is known."""
        return cls(
            status=known.status.word,
            required=known.check.required,
            reason=known.reason,
            latency_ms=round(known.latency * 1000, 2) if known.observed else None,
            observed_at=_moment(known.observed) if known.observed else None,
            since=_moment(known.since),
            failures=known.failures or None,
        )


class HealthBody(BaseModel):
    """What is known of this instance and of all its dependencies."""

    status: Annotated[str, one_of("pass", "warn", "fail")]
    phase: Phase
    checks: dict[str, CheckBody]
    warnings: list[str] | None = None

    @classmethod
    def of(cls, status: Status, phase: Phase, report: Report, warnings: list[str]) -> "HealthBody":
        """Write down a report."""
        return cls(
            status=status.word,
            phase=phase,
            checks={known.check.name: CheckBody.of(known) for known in report.checks},
            warnings=warnings or None,
        )


class ErrorBody(BaseModel):
    """Why a request can't be answered."""

    detail: str


def _moment(instant: Instant) -> str:
    moment = datetime.fromtimestamp(instant.wall, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
