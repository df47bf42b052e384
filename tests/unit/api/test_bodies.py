"""JSON bodies are assembled from cached parts, and match the documented models."""

from dataclasses import replace

from app.api.json_bodies import CheckBody, HealthBody, write_json
from app.api.verdict import Verdict
from app.health import Certificate, Check, Facts, Instant, Observation, Reason, Report, Status
from app.lifecycle import Phase


NOW = Instant(100.0, 1_763_892_000.25)


class Unhashable:
    """A probe without a hash, such as a dataclass that is not frozen."""

    __hash__ = None  # type: ignore[assignment]

    async def __call__(self) -> None:
        """Pass."""


def known(name: str) -> Observation:
    """Return an observation of a passing check."""
    check = Check(name=name, probe=Unhashable())
    passing = Observation(check=check, since=NOW)
    return replace(passing, status=Status.PASS, observed=NOW, latency=0.0012)


def verdict(*checks: Observation, is_single_check: bool = False) -> Verdict:
    """Return a verdict with a warning that looks like JSON."""
    report, warnings = Report(checks), ('no check is named "checks":{}, "ö"',)
    return Verdict(
        status=report.status,
        phase=Phase.SERVING,
        report=report,
        is_single_check=is_single_check,
        warnings=warnings,
    )


def test_an_assembled_body_matches_its_model() -> None:
    """Parsing and writing it again gives the same bytes, whatever names and warnings contain."""
    body = write_json(verdict(known("redis"), known('"checks":{} ä \\ \n')))
    again = HealthBody.model_validate_json(body)
    assert list(again.checks) == ["redis", '"checks":{} ä \\ \n']
    assert again.model_dump_json(exclude_none=True).encode() == body


def test_a_body_shows_the_current_observation() -> None:
    """The cache returns neither an older observation nor another check's."""
    passing, other = known("redis"), known("postgres")
    failing = replace(passing, status=Status.FAIL, reason=Reason.REFUSED, failures=1)
    for observation in (passing, failing, other, passing):
        body = CheckBody.model_validate_json(write_json(verdict(observation, is_single_check=True)))
        assert (body.status, body.reason) == (observation.status.word, observation.reason)
        assert body == CheckBody.from_observation(observation)


def test_a_body_shows_when_the_certificate_expires() -> None:
    facts = Facts(certificate=Certificate(NOW.wall - 60, NOW.wall + 60))
    body = CheckBody.from_observation(replace(known("shop"), facts=facts))
    assert body.certificate_expires_at == "2025-11-23T10:01:00.250Z"
