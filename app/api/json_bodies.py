"""The bodies of the answers in JSON, as they are written and as OpenAPI documents them."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, Field

from app.api.verdict import Verdict
from app.health import Instant, Observation, Reason
from app.lifecycle import Phase


def one_of(*words: str) -> Any:
    """Document the words that a text is one of."""
    return Field(json_schema_extra={"enum": list(words)})


# What is written of so many checks is kept: a result changes one of them, and all are told anew.
MAX_KEPT = 256

# Where the checks are written in; no text holds this, as its quotes would be escaped.
EMPTY = '"checks":{}'

Moment = Annotated[str, Field(examples=["2026-11-23T10:00:00.120Z"])]


class StatusBody(BaseModel):
    """A status, with a `detail` only where no lifespan runs."""

    status: Annotated[str, one_of("pass", "warn", "fail")]
    detail: str | None = None


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
            observed_at=moment(known.observed) if known.observed else None,
            since=moment(known.since),
            failures=known.failures or None,
        )


class HealthBody(BaseModel):
    """What is known of this instance and of all its dependencies."""

    status: Annotated[str, one_of("pass", "warn", "fail")]
    phase: Phase
    checks: dict[str, CheckBody]
    warnings: list[str] | None = None


class ErrorBody(BaseModel):
    """Why a request can't be answered."""

    detail: str


def write_json(verdict: Verdict) -> bytes:
    """Write a finding down in JSON."""
    if verdict.report is None:
        text = _text(StatusBody(status=verdict.status.word, detail=verdict.detail))
    elif verdict.alone:
        text = _check(verdict.report.checks[0])
    else:
        text = _whole(verdict, verdict.report.checks)
    return text.encode()


def _whole(verdict: Verdict, checks: Iterable[Observation]) -> str:
    around = _text(
        HealthBody(
            status=verdict.status.word,
            phase=verdict.phase,
            checks={},
            warnings=list(verdict.warnings) or None,
        )
    )
    told = (
        f"{json.dumps(known.check.name, ensure_ascii=False)}:{_check(known)}" for known in checks
    )
    return around.replace(EMPTY, EMPTY[:-1] + ",".join(told) + EMPTY[-1])


@lru_cache(MAX_KEPT)
def _check(known: Observation) -> str:
    return _text(CheckBody.of(known))


def _text(body: BaseModel) -> str:
    return body.model_dump_json(exclude_none=True)


def moment(instant: Instant) -> str:
    """Tell a moment in UTC, to the millisecond."""
    told = datetime.fromtimestamp(instant.wall, UTC)
    return told.isoformat(timespec="milliseconds").replace("+00:00", "Z")
