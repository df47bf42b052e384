"""JSON is written piece by piece, and comes to what is documented as a whole."""

from dataclasses import replace

from app.api.json_bodies import CheckBody, HealthBody, write_json
from app.api.verdict import Verdict
from app.health import Check, Instant, Observation, Reason, Report, Status
from app.lifecycle import Phase


NOW = Instant(100.0, 1_763_892_000.25)


class Unhashable:
    """A probe that can't be a key, as a dataclass that is not frozen."""

    __hash__ = None  # type: ignore[assignment]

    async def __call__(self) -> None:
        """Pass."""


def known(name: str) -> Observation:
    """What is known of a check that passes."""
    check = Check(name=name, probe=Unhashable())
    passing = Observation(check=check, since=NOW)
    return replace(passing, status=Status.PASS, observed=NOW, latency=0.0012)


def verdict(*checks: Observation, alone: bool = False) -> Verdict:
    """Find these."""
    report, warnings = Report(checks), ('no check is named "checks":{}, "ö"',)
    return Verdict(
        status=report.status, phase=Phase.SERVING, report=report, alone=alone, warnings=warnings
    )


def test_the_pieces_come_to_the_whole() -> None:
    """Whatever is in a name or in a warning: read and written again it is the same."""
    body = write_json(verdict(known("redis"), known('"checks":{} ä \\ \n')))
    again = HealthBody.model_validate_json(body)
    assert list(again.checks) == ["redis", '"checks":{} ä \\ \n']
    assert again.model_dump_json(exclude_none=True).encode() == body


def test_a_check_is_told_as_it_is_now() -> None:
    """What was written of it before is told no more, and of another check never."""
    passing, other = known("redis"), known("postgres")
    failing = replace(passing, status=Status.FAIL, reason=Reason.REFUSED, failures=1)
    for told in (passing, failing, other, passing):
        body = CheckBody.model_validate_json(write_json(verdict(told, alone=True)))
        assert (body.status, body.reason) == (told.status.word, told.reason)
        assert body == CheckBody.of(told)
