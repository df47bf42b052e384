"""What a check asks a PostgreSQL, and what must be true of the answer."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.checks.errors import ProtocolError
from app.health import Reason


@dataclass(frozen=True, slots=True)
class Requirement:
    """What must be true of a server.

    Attributes:
        sql: an expression, for which no grant is needed.
        reason: why the check fails if it is not true.
    """

    sql: str
    reason: Reason


class RequirementError(Exception):
    """The server answers, and does not meet a requirement."""

    def __init__(self, requirement: Requirement) -> None:
        super().__init__(f"the server answers that this is not true: {requirement.sql}")
        self.reason = requirement.reason


# During recovery every transaction is read-only.
READ_WRITE = "current_setting('transaction_read_only') = 'off'"
READ_ONLY = "current_setting('transaction_read_only') = 'on'"
PRIMARY = "NOT pg_is_in_recovery()"
STANDBY = "pg_is_in_recovery()"

Requirements = tuple[Requirement, ...]

# By `target_session_attrs`. A client that prefers a standby uses any other server too.
ATTRIBUTES: Mapping[str, Requirements] = {
    "any": (),
    "read-write": (Requirement(READ_WRITE, Reason.NO_PRIMARY),),
    "read-only": (Requirement(READ_ONLY, Reason.NOT_REPLICA),),
    "primary": (Requirement(PRIMARY, Reason.NO_PRIMARY),),
    "standby": (Requirement(STANDBY, Reason.NOT_REPLICA),),
    "prefer-standby": (),
}

DEPTHS: Mapping[str, Requirements] = {
    "connect": (),
    "query": (),
    "writable": (Requirement(READ_WRITE, Reason.READ_ONLY),),
}


@dataclass(frozen=True, slots=True)
class Statement:
    """A SELECT of a number and of requirements.

    A statement without parameters uses the simple protocol: one round trip, and no prepared
    statement, which would break PgBouncer's transaction mode.

    The server cancels it in time. The server does not notice that a client has gone, so each
    attempt would leave a busy backend behind. In one message the two commands are one transaction,
    after which the setting is gone. As a parameter of the session, PgBouncer would refuse it.

    Attributes:
        timeout: seconds.
    """

    timeout: float
    requirements: Requirements

    def compose(self, number: int) -> str:
        """Return the text of the statement.

        Args:
            number: another one each time, so that no earlier result, nor one from a proxy's cache,
                can be mistaken for the result.
        """
        columns = [str(number), *(requirement.sql for requirement in self.requirements)]
        limit = math.ceil(self.timeout * 1000)
        return f"SET LOCAL statement_timeout = {limit}; SELECT {', '.join(columns)}"

    def verify(self, values: Sequence[bytes | None]) -> None:
        """Raise a RequirementError for the first requirement that is not met.

        Raises:
            ProtocolError: there are more or fewer values than requirements.
        """
        if len(values) != len(self.requirements):
            msg = "a row with another number of columns than the statement"
            raise ProtocolError(msg)
        for requirement, value in zip(self.requirements, values, strict=True):
            if value != b"t":
                raise RequirementError(requirement)
