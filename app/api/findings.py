"""What is found when a question is put, before it is written down."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from app.api.archive import Memory
from app.health import Report, Status
from app.lifecycle import Phase


# A name that can't be excluded is told up to this length, and so many of them: an answer stays
# under 10 KB whatever is asked.
MAX_NAME_LENGTH = 64
MAX_WARNINGS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How it stands with what was asked about.

    Attributes:
        status: how it stands; `unknown` does not pass.
        report: the checks that were asked about; none where the status is all there is to tell.
        alone: whether one check was asked about, and nothing else.
        warnings: what could not be done of what was asked for.
        memory: what has been; none where it is not shown.
        detail: why there is no report, where that is a fault of the hosting.

    """

    status: Status
    phase: Phase
    report: Report | None = None
    alone: bool = False
    warnings: tuple[str, ...] = ()
    memory: Memory | None = None
    detail: str | None = None

    @property
    def passes(self) -> bool:
        """Whether the answer is a 200."""
        return self.status in {Status.PASS, Status.WARN}

    @property
    def bare(self) -> "Finding":
        """The same for those who are not shown the checks."""
        return replace(self, report=None, warnings=(), memory=None)


# Finds out from what is known and the phase; none where there is nothing that was asked about.
Question = Callable[[Report, Phase], Finding | None]


def live(_: Report, phase: Phase) -> Finding:
    """Ask whether the process serves: it answers, so it does, whatever its dependencies do."""
    return Finding(status=Status.PASS, phase=phase)


def started(report: Report, phase: Phase) -> Finding:
    """Ask whether every check has had a first result."""
    return Finding(status=Status.PASS if report.complete else Status.FAIL, phase=phase)


def ready(exclude: Collection[str] = ()) -> Callable[[Report, Phase], Finding]:
    """Ask whether this instance should be sent work, and what is known of each dependency."""
    return partial(_ready, exclude)


def check(name: str) -> Question:
    """Ask whether one dependency passes, required or not."""
    return partial(_check, name)


def _ready(exclude: Collection[str], report: Report, phase: Phase) -> Finding:
    asked = report.without(frozenset(exclude))
    known = {observation.check.name for observation in report.checks}
    unknown = (name[:MAX_NAME_LENGTH] for name in exclude if name not in known)
    return Finding(
        status=asked.status if phase is Phase.SERVING else Status.FAIL,
        phase=phase,
        report=asked,
        warnings=tuple(f"no check is named {name}" for name in islice(unknown, MAX_WARNINGS)),
    )


def _check(name: str, report: Report, phase: Phase) -> Finding | None:
    for known in report.checks:
        if known.check.name == name:
            return Finding(status=known.status, phase=phase, report=Report((known,)), alone=True)
    return None
