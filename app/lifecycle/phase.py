"""Where the service stands in its own life."""

from enum import StrEnum


class Phase(StrEnum):
    """Whether this instance offers itself, apart from how its dependencies are."""

    STARTING = "starting"
    SERVING = "serving"
    MAINTENANCE = "maintenance"
    DRAINING = "draining"


# By themselves: this is asked at each request, and Python 3.11 takes a while to find a member.
STARTING, SERVING, MAINTENANCE, DRAINING = Phase


class Lifecycle:
    """What has been decided about this instance; draining is final.

    Attributes:
        draining: whether it offers no more, for good.
        maintenance: whether an operator has taken the instance out of rotation.

    """

    def __init__(self) -> None:
        self.maintenance = False
        self.draining = False

    def drain(self) -> None:
        """Offer no more, for good."""
        self.draining = True

    def phase(self, *, started: bool) -> Phase:
        """Tell the phase: the first that applies.

        Args:
            started: whether every check has had a first result.

        """
        if self.draining:
            return DRAINING
        if not started:
            return STARTING
        return MAINTENANCE if self.maintenance else SERVING
