"""The JSON bodies of answers, as they are sent and as OpenAPI documents them."""

import json
from collections.abc import Iterable
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


# Checks whose JSON is cached: a result changes one of them, and every answer contains them all.
MAX_CACHED_CHECKS = 256

# Where the checks are inserted. No string contains this, because JSON escapes its quotes.
EMPTY_CHECKS = '"checks":{}'

Timestamp = Annotated[str, Field(examples=["2026-11-23T10:00:00.120Z"])]


class StatusBody(BaseModel):
    """A status; `detail` is present only while the application's lifespan does not run."""

    status: Annotated[str, enum_of("pass", "warn", "fail")]
    detail: str | None = None


class CheckBody(BaseModel):
    """The state of one check.

    `reason`, `latency_ms`, `observed_at` and `failures` are absent if they have no value.
    """

    status: Annotated[str, enum_of("pass", "fail", "unknown")]
    required: bool
    reason: Reason | None = None
    latency_ms: Annotated[float | None, Field(ge=0)] = None
    observed_at: Timestamp | None = None
    since: Timestamp
    failures: Annotated[int | None, Field(ge=1)] = None

    @classmethod
    def from_observation(cls, observation: Observation) -> "CheckBody":
        """Convert an observation."""
        return cls(
            status=observation.status.word,
            required=observation.check.required,
            reason=observation.reason,
            latency_ms=round(observation.latency * 1000, 2) if observation.observed else None,
            observed_at=format_time(observation.observed.wall) if observation.observed else None,
            since=format_time(observation.since.wall),
            failures=observation.failures or None,
        )


class HealthBody(BaseModel):
    """The state of this instance and of all its checks."""

    status: Annotated[str, enum_of("pass", "warn", "fail")]
    phase: Phase
    checks: dict[str, CheckBody]
    warnings: list[str] | None = None


class ErrorBody(BaseModel):
    """Why a request can't be answered."""

    detail: str


def write_json(verdict: Verdict) -> bytes:
    """Return a verdict in JSON."""
    if verdict.report is None:
        text = _dump(StatusBody(status=verdict.status.word, detail=verdict.detail))
    elif verdict.is_single_check:
        text = _write_check(verdict.report.checks[0])
    else:
        text = _write_report(verdict, verdict.report.checks)
    return text.encode()


def _write_report(verdict: Verdict, checks: Iterable[Observation]) -> str:
    body = _dump(
        HealthBody(
            status=verdict.status.word,
            phase=verdict.phase,
            checks={},
            warnings=list(verdict.warnings) or None,
        )
    )
    members = (
        f"{json.dumps(observation.check.name, ensure_ascii=False)}:{_write_check(observation)}"
        for observation in checks
    )
    return body.replace(EMPTY_CHECKS, EMPTY_CHECKS[:-1] + ",".join(members) + EMPTY_CHECKS[-1])


@lru_cache(MAX_CACHED_CHECKS)
def _write_check(observation: Observation) -> str:
    return _dump(CheckBody.from_observation(observation))


def _dump(body: BaseModel) -> str:
    return body.model_dump_json(exclude_none=True)
