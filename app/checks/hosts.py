"""A probe of several hosts, of which one has to pass."""

from collections.abc import Sequence
from functools import partial
from typing import Generic, TypeVar

from app.checks.connection import MAX_ERROR_TEXT
from app.checks.race import START_DELAY, race
from app.checks.session import SessionProbe, explain_once
from app.health import Facts, Reason
from app.health.reasons import Advice


# If no host passes, the lowest rank decides. A host with one of these reasons has answered. With
# any other reason, of the rank UNREACHABLE, it is open what the host would answer.
UNREACHABLE = 1
RANKS = {
    Reason.CLUSTER_DOWN: 0,  # each node knows the state of its cluster
    Reason.CONDITION: 0,  # of the host that was looked for
    Reason.LAGGING: 2,
    Reason.READ_ONLY: 2,
    Reason.NOT_REPLICA: 3,
    Reason.NO_PRIMARY: 3,
}

P = TypeVar("P", bound=SessionProbe)


class HostsProbe(Generic[P]):
    """Asks the hosts until one passes, first the one that passed last. That one keeps its session.

    Args:
        probes: one for each host, in the order of the URL.
        timeout: seconds that an attempt may take. Each host is asked before they are over.
    """

    def __init__(self, probes: Sequence[P], timeout: float) -> None:
        self._probes = probes
        self._delay = min(START_DELAY, timeout / (len(probes) + 1))
        self._preferred = probes[0]
        self._errors = dict[P, Exception]()

    @classmethod
    def join(cls, probes: Sequence[P], timeout: float) -> "P | HostsProbe[P]":
        """Return a probe of all hosts: the only one, or one that asks them."""
        return probes[0] if len(probes) == 1 else cls(probes, timeout)

    @property
    def password_not_requested(self) -> bool:
        """Whether the host that passed last did not ask for the configured password."""
        return self._preferred.password_not_requested

    @property
    def remark(self) -> Advice | None:
        """What to know about the host that passed last."""
        return self._preferred.remark

    def facts(self) -> Facts:
        """Return what is known of the host that passed last."""
        return self._preferred.facts()

    async def __call__(self) -> None:
        """Ask the hosts.

        Raises:
            Exception: the error of the host that decides.
        """
        self._errors = errors = dict[P, Exception]()
        order = sorted(self._probes, key=lambda probe: probe is not self._preferred)
        attempts = [partial(_ask, probe, errors) for probe in order]
        try:
            self._preferred = await race(attempts, delay=self._delay)
        except Exception as error:  # noqa: BLE001 - each host may fail in its own way
            raise self._decide(error)[1] from None
        for probe in self._probes:
            if probe is not self._preferred:
                await probe.aclose()

    async def aclose(self) -> None:
        """Close the sessions."""
        for probe in self._probes:
            await probe.aclose()

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed, and add a note to the error that shows the host."""
        return explain_once(self, error, self._explain)

    def _explain(self, error: BaseException) -> Reason:
        host, decisive = self._decide(error)
        error.add_note(f"host {host + 1} of {len(self._probes)} in the URL")
        reason = self._probes[host].explain(decisive)
        if decisive is not error:  # the deadline of another host
            text = f"{type(decisive).__name__}: {str(decisive)[:MAX_ERROR_TEXT]}"
            for note in (text, *getattr(decisive, "__notes__", ())):
                error.add_note(note)
        return reason

    def _decide(self, deadline: BaseException) -> tuple[int, BaseException]:
        """Return the index of the host that decides, and its error.

        Args:
            deadline: the error of a host that has not answered.
        """
        ranks = list[int]()
        for probe in self._probes:
            # A probe adds notes to the error. Those of other hosts would mislead in the advice.
            error = self._errors.get(probe) or type(deadline)(*deadline.args)
            ranks.append(self.rank(probe, probe.explain(error)))
        host = ranks.index(min(ranks))
        return host, self._errors.get(self._probes[host], deadline)

    def rank(self, probe: P, reason: Reason) -> int:
        """Return the rank of a host that has failed for a reason."""
        del probe
        return RANKS.get(reason, UNREACHABLE)


async def _ask(probe: P, errors: dict[P, Exception]) -> P:
    """Return the probe if it passes."""
    try:
        await probe()
    except Exception as error:
        errors[probe] = error
        raise
    return probe
