"""What a health query finds: the verdict, and the state that it is derived from."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Protocol

from app.api.clients import Client
from app.health import Clock, History, Instant, Observation, Report, Status
from app.lifecycle import Lifecycle, Phase
from app.text import format_time


class ReportSource(Protocol):
    """The source of reports: in the service, the monitor."""

    @property
    def latest(self) -> Report:
        """The report after the latest result. Each result replaces it."""
        ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The time, the checks and the phase from which one request is answered."""

    now: Instant
    report: Report
    phase: Phase


@dataclass(frozen=True, slots=True)
class ServiceState:
    """The live objects from which a snapshot is taken."""

    source: ReportSource
    lifecycle: Lifecycle
    clock: Clock

    def snapshot(self, steady: float | None = None) -> Snapshot:
        """Return the present state. Each request calls this once.

        Args:
            steady: the present time on the steady clock, if the caller has read it already.
        """
        now = self.clock.now() if steady is None else Instant(steady, self.clock.wall())
        report = self.source.latest.at(now)
        return Snapshot(now, report, self.lifecycle.phase(started=report.complete))


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorView:
    """What the page shows to operators only.

    Attributes:
        settings: the effective settings by name, without secrets.
        changed: the names of those that differ from their defaults.
        targets: the addresses that the checks connect to, by the name of the check.
    """

    settings: Mapping[str, str]
    changed: Collection[str]
    targets: Mapping[str, str]
    clients: Sequence[Client] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContext:
    """What one page shows besides the verdict.

    Attributes:
        histories: by the name of the check.
        instance: the name of this instance.
        root: the relative URL of the path `/`, for links.
        operator: None unless an operator sent the request.
    """

    now: Instant
    histories: Mapping[str, History]
    instance: str
    root: str = "./"
    operator: OperatorView | None = None


# A warning quotes this many characters of an unknown check name, and an answer has this many
# warnings: it stays below 10 KB whatever the query contains.
MAX_NAME_LENGTH = 64
MAX_WARNINGS = 10

# Characters that take up to six bytes in JSON, or that would add lines to a text.
UNSAFE = re.compile("[^ -~]")

# With more checks, an answer lists those that do not pass: a kubelet reads 10 KB.
MAX_LISTED = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of a health query.

    Attributes:
        status: the overall status; `unknown` does not pass.
        report: the checks in question; None if the answer has only a status.
        is_single_check: whether the query was about one check only.
        is_verbose: whether the answer lists all checks, however many there are.
        warnings: the parts of the query that were ignored.
        page: what only the page shows; None in other formats, and without details.
        refusal: for the page, why the client's token is refused. Empty if it sent none, None if a
            valid token would show no more.
        detail: why there is no report, if the application's lifespan does not run.
    """

    status: Status
    phase: Phase
    report: Report | None = None
    is_single_check: bool = False
    is_verbose: bool = False
    warnings: tuple[str, ...] = ()
    page: PageContext | None = None
    refusal: str | None = None
    detail: str | None = None

    @property
    def passes(self) -> bool:
        """Whether the answer is a 200."""
        return self.status in {Status.PASS, Status.WARN}

    @property
    def listed(self) -> Sequence[Observation]:
        """The checks that the answer lists: those that do not pass if there are many."""
        checks = self.report.checks if self.report else ()
        if self.is_verbose or len(checks) <= MAX_LISTED:
            return checks
        return [observation for observation in checks if observation.status is not Status.PASS]

    @property
    def others(self) -> int:
        """The number of passing checks that the answer does not list."""
        return len(self.report.checks) - len(self.listed) if self.report else 0

    @property
    def without_details(self) -> "Verdict":
        """The verdict for clients that may not see the checks."""
        return replace(self, report=None, warnings=(), page=None)


# Derives a verdict from a report and a phase; None if the query names an unknown check.
HealthQuery = Callable[[Report, Phase], Verdict | None]


def liveness(_: Report, phase: Phase) -> Verdict:
    """Pass: an answer proves that the process runs, whatever its dependencies do."""
    return Verdict(status=Status.PASS, phase=phase)


def startup(report: Report, phase: Phase) -> Verdict:
    """Pass once every check has had a first result."""
    return Verdict(status=Status.PASS if report.complete else Status.FAIL, phase=phase)


def readiness_query(
    exclude: Sequence[str] = (), only: Sequence[str] = (), *, is_verbose: bool = False
) -> Callable[[Report, Phase], Verdict]:
    """Return a query for whether this instance should get traffic.

    Args:
        exclude: the names of checks that do not count.
        only: if a check has one of these names, the other checks do not count.
        is_verbose: whether the answer lists all checks, however many there are.
    """
    asked = (*exclude, *only)

    def query(report: Report, phase: Phase) -> Verdict:
        names = {observation.check.name for observation in report.checks} if asked else set()
        # If only unknown names are asked for, all checks count: a misspelling must not pass.
        others = names.difference(only) if names.intersection(only) else set()
        included = report.without(others.union(exclude))
        unknown = (
            f"no check is named {UNSAFE.sub('?', name[:MAX_NAME_LENGTH])}"
            for name in asked
            if name not in names
        )
        warnings = chain(unknown, _certificate_warnings(included))
        return Verdict(
            status=included.status if phase is Phase.SERVING else Status.FAIL,
            phase=phase,
            report=included,
            is_verbose=is_verbose,
            warnings=tuple(islice(warnings, MAX_WARNINGS)),
        )

    return query


def single_check_query(name: str) -> HealthQuery:
    """Return a query for whether one check passes, required or not."""

    def query(report: Report, phase: Phase) -> Verdict | None:
        for one in report.checks:
            if one.check.name == name:
                only = Report((one,))
                return Verdict(status=one.status, phase=phase, report=only, is_single_check=True)
        return None

    return query


def _certificate_warnings(report: Report) -> Iterator[str]:
    for one in report.checks:
        if one.expiring:
            time = format_time(one.expiring.expires_at)
            yield f"the certificate of {one.check.name} expires at {time}"
