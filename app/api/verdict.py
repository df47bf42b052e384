"""What is found when a question is put, before it is written down."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from app.api.clients import Client, Clients
from app.health import Clock, History, Instant, Report, Status
from app.lifecycle import Phase


@dataclass(frozen=True, slots=True)
class OperatorView:
    """What is shown to an operator alone: who asks, and the settings in force, by name."""

    clients: Sequence[Client]
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySnapshot:
    """What has been, seen at one moment.

    Attributes:
        histories: by the name of the check.
        operator: none where no operator asks.

    """

    now: Instant
    histories: Mapping[str, History]
    operator: OperatorView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryStore:
    """Where it is kept.

    Attributes:
        histories: by the name of the check.
        settings: those in force, by name, without secrets.

    """

    clock: Clock
    histories: Mapping[str, History]
    clients: Clients
    settings: Mapping[str, str]

    def snapshot(self, *, operator: bool) -> HistorySnapshot:
        """Tell what has been, as far as whoever asks may know."""
        now = self.clock.now()
        shown = OperatorView(self.clients.all(now), self.settings) if operator else None
        return HistorySnapshot(now=now, histories=self.histories, operator=shown)


# A name that can't be excluded is told up to this length, and so many of them: an answer stays
# under 10 KB whatever is asked.
MAX_NAME_LENGTH = 64
MAX_WARNINGS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
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
    snapshot: HistorySnapshot | None = None
    detail: str | None = None

    @property
    def passes(self) -> bool:
        """Whether the answer is a 200."""
        return self.status in {Status.PASS, Status.WARN}

    @property
    def bare(self) -> "Verdict":
        """The same for those who are not shown the checks."""
        return replace(self, report=None, warnings=(), snapshot=None)


# Finds out from what is known and the phase; none where there is nothing that was asked about.
HealthQuery = Callable[[Report, Phase], Verdict | None]


def liveness(_: Report, phase: Phase) -> Verdict:
    """Ask whether the process serves: it answers, so it does, whatever its dependencies do."""
    return Verdict(status=Status.PASS, phase=phase)


def startup(report: Report, phase: Phase) -> Verdict:
    """Ask whether every check has had a first result."""
    return Verdict(status=Status.PASS if report.complete else Status.FAIL, phase=phase)


def readiness(exclude: Collection[str] = ()) -> Callable[[Report, Phase], Verdict]:
    """Ask whether this instance should be sent work, and what is known of each dependency."""
    return partial(_readiness, exclude)


def single_check(name: str) -> HealthQuery:
    """Ask whether one dependency passes, required or not."""
    return partial(_single_check, name)


def _readiness(exclude: Collection[str], report: Report, phase: Phase) -> Verdict:
    asked = report.without(frozenset(exclude))
    known = {observation.check.name for observation in report.checks}
    unknown = (name[:MAX_NAME_LENGTH] for name in exclude if name not in known)
    return Verdict(
        status=asked.status if phase is Phase.SERVING else Status.FAIL,
        phase=phase,
        report=asked,
        warnings=tuple(f"no check is named {name}" for name in islice(unknown, MAX_WARNINGS)),
    )


def _single_check(name: str, report: Report, phase: Phase) -> Verdict | None:
    for known in report.checks:
        if known.check.name == name:
            return Verdict(status=known.status, phase=phase, report=Report((known,)), alone=True)
    return None
