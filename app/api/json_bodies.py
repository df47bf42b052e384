"""The JSON bodies of answers, as they are sent and as OpenAPI documents them."""

from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.api.verdict import Verdict
from app.health import Observation, Reason
from app.lifecycle import Phase
from app.text import format_time


def enum_of(*words: str) -> Any:
    """Document a string field as an enum."""
    return Field(json_schema_extra={"enum": list(words)})


# Checks whose body is cached: a result changes one of them, and every answer contains them all.
MAX_CACHED_CHECKS = 256

Timestamp = Annotated[str, Field(examples=["2026-11-23T10:00:00.120Z"])]


class StatusBody(BaseModel):
    """A status; `detail` is present only while the application's lifespan does not run."""

    status: Annotated[str, enum_of("pass", "warn", "fail")]
    detail: str | None = None


class CheckBody(BaseModel):
    """The state of one check.

    `reason`, `latency_ms`, `observed_at`, `failures` and `certificate_expires_at` are absent if
    they have no value.
    """

    status: Annotated[str, enum_of("pass", "fail", "unknown")]
    required: bool
    reason: Reason | None = None
    latency_ms: Annotated[float | None, Field(ge=0)] = None
    observed_at: Timestamp | None = None
    since: Timestamp
    failures: Annotated[int | None, Field(ge=1)] = None
    certificate_expires_at: Timestamp | None = None

    @classmethod
    def from_observation(cls, observation: Observation) -> "CheckBody":
        """Convert an observation."""
        certificate = observation.facts.certificate
        return cls(
            status=observation.status.word,
            required=observation.check.required,
            reason=observation.reason,
            latency_ms=round(observation.latency * 1000, 2) if observation.observed else None,
            observed_at=format_time(observation.observed.wall) if observation.observed else None,
            since=format_time(observation.since.wall),
            failures=observation.failures or None,
            certificate_expires_at=format_time(certificate.expires_at) if certificate else None,
        )


class HealthBody(BaseModel):
    """The state of this instance and of its checks.

    With more than 30 checks, `checks` lists those that do not pass, and `others` counts the rest.
    """

    status: Annotated[str, enum_of("pass", "warn", "fail")]
    phase: Phase
    checks: dict[str, CheckBody]
    others: Annotated[int | None, Field(ge=1)] = None
    warnings: list[str] | None = None


class ErrorBody(BaseModel):
    """Why a request can't be answered."""

    detail: str


def write_json(verdict: Verdict) -> bytes:
    """Return a verdict in JSON."""
    body: BaseModel
    if verdict.report is None:
        body = StatusBody(status=verdict.status.word, detail=verdict.detail)
    elif verdict.is_single_check:
        body = CheckBody.from_observation(verdict.report.checks[0])
    else:
        body = HealthBody(
            status=verdict.status.word,
            phase=verdict.phase,
            checks={one.check.name: _check_body(one) for one in verdict.listed},
            others=verdict.others or None,
            warnings=list(verdict.warnings) or None,
        )
    return body.model_dump_json(exclude_none=True).encode()


_check_body = lru_cache(MAX_CACHED_CHECKS)(CheckBody.from_observation)
