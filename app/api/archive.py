"""What is kept beyond the present: for whoever wants to know how it came to this."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.api.probers import Prober, Probers
from app.health import Clock, History, Instant


@dataclass(frozen=True, slots=True)
class Operator:
    """What is shown to an operator alone: who asks, and the settings in force, by name."""

    probers: Sequence[Prober]
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What has been, seen at one moment.

    Attributes:
        histories: by the name of the check.
        operator: none where no operator asks.

    """

    now: Instant
    histories: Mapping[str, History]
    operator: Operator | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Where it is kept.

    Attributes:
        histories: by the name of the check.
        settings: those in force, by name, without secrets.

    """

    clock: Clock
    histories: Mapping[str, History]
    probers: Probers
    settings: Mapping[str, str]

    def memory(self, *, operator: bool) -> Memory:
        """Tell what has been, as far as whoever asks may know."""
        now = self.clock.now()
        shown = Operator(self.probers.all(now), self.settings) if operator else None
        return Memory(now=now, histories=self.histories, operator=shown)
