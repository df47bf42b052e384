"""A probe of several hosts, of which one has to pass."""

from collections.abc import Sequence
from functools import partial

from app.checks.race import START_DELAY, race
from app.checks.session import SessionProbe, explain_once
from app.health import Facts, Reason


# The reasons of a host that answers. Any other reason leaves open what the host would answer.
ANSWERED = frozenset(
    {
        Reason.CONDITION,
        Reason.LAGGING,
        Reason.NOT_REPLICA,
        Reason.NO_PRIMARY,
        Reason.READ_ONLY,
    }
)


class HostsProbe:
    """Asks the hosts until one passes, first the one that passed last. That one keeps its session.

    Args:
        probes: one for each host, in the order of the URL.
        timeout: seconds that an attempt may take. Each host is asked before they are over.
    """

    def __init__(self, probes: Sequence[SessionProbe], timeout: float) -> None:
        self._probes = probes
        self._delay = min(START_DELAY, timeout / (len(probes) + 1))
        self._preferred = probes[0]
        self._errors = dict[SessionProbe, Exception]()

    @property
    def password_not_requested(self) -> bool:
        """Whether the host that passed last did not ask for the configured password."""
        return self._preferred.password_not_requested

    def facts(self) -> Facts:
        """Return what is known of the host that passed last."""
        return self._preferred.facts()

    async def __call__(self) -> None:
        """Ask the hosts.

        Raises:
            Exception: the error of the first host that is unreachable, or else of the first one.
        """
        self._errors = errors = dict[SessionProbe, Exception]()
        order = sorted(self._probes, key=lambda probe: probe is not self._preferred)
        attempts = [partial(_ask, probe, errors) for probe in order]
        try:
            self._preferred = await race(attempts, delay=self._delay)
        except Exception as error:  # noqa: BLE001 - each host may fail in its own way
            raise self._decide(error)[1] from None
        for probe in self._probes:
            if probe is not self._preferred:
                await probe.aclose()

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed."""
        return explain_once(self, error, lambda error: self._decide(error)[0])

    def _decide(self, deadline: BaseException) -> tuple[Reason, BaseException]:
        """Return the reason and the error of the host that decides.

        Args:
            deadline: the error of a host that has not answered.
        """
        errors = [self._errors.get(probe, deadline) for probe in self._probes]
        found = [
            (probe.explain(error), error) for probe, error in zip(self._probes, errors, strict=True)
        ]
        return next((one for one in found if one[0] not in ANSWERED), found[0])


async def _ask(probe: SessionProbe, errors: dict[SessionProbe, Exception]) -> SessionProbe:
    """Return the probe if it passes."""
    try:
        await probe()
    except Exception as error:
        errors[probe] = error
        raise
    return probe
