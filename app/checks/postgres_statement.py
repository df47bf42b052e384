"""What a check asks a PostgreSQL, and what must be true of the answer."""

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.checks.errors import ProtocolError
from app.health import Reason, UnexpectedAnswerError


@dataclass(frozen=True, slots=True)
class Requirement:
    """What must be true of a server.

    Attributes:
        sql: an expression, for which no grant is needed.
        reason: why the check fails if it is not true.
    """

    sql: str
    reason: Reason


class RequirementError(UnexpectedAnswerError):
    """The server answers, and does not meet a requirement."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


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
    "replica": (Requirement(STANDBY, Reason.NOT_REPLICA),),
}


# A position in the write-ahead log, and the one before all others.
POSITION = re.compile(rb"[0-9A-F]{1,8}/[0-9A-F]{1,8}")
FIRST_POSITION = "0/0"

# The time of the last transaction is null if the server has replayed none since its start.
LAST = "coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())"
AGE = f"round(extract(epoch FROM now() - {LAST})::numeric, 3)"
NUMBER = re.compile(rb"-?[0-9]{1,12}(\.[0-9]{3})?")

HAS_SOURCE = Requirement(
    "EXISTS (SELECT FROM pg_stat_wal_receiver) OR current_setting('restore_command', true) <> ''",
    Reason.LAGGING,
)


# Without a limit, an earlier position is compared with for so many seconds.
MAX_AGE = 1.0


class ReplicationLag:
    """Measures how far a replica is behind: the age of the last transaction that it has replayed.

    The age counts only if the replica has not replayed all that it had received at the previous
    measurement. Otherwise an idle primary would look like a lag.

    Attributes:
        seconds: None if it is unknown.

    Args:
        limit: the seconds that are allowed; None for any number.
    """

    def __init__(self, limit: float | None) -> None:
        self.seconds: float | None = None
        self._limit = limit
        self._received: str | None = None
        self._received_at = -math.inf

    @property
    def needs_position(self) -> bool:
        """Whether the previous measurement is so old that a lag beyond the limit would not show."""
        max_age = MAX_AGE if self._limit is None else self._limit
        return time.monotonic() - self._received_at > max_age

    @property
    def requirements(self) -> Requirements:
        """What a limit requires."""
        return () if self._limit is None else (HAS_SOURCE,)

    @property
    def columns(self) -> tuple[str, str]:
        """The position that the replica has received, and its lag."""
        is_behind = f"pg_last_wal_replay_lsn() < '{self._received or FIRST_POSITION}'"
        return "pg_last_wal_receive_lsn()", f"CASE WHEN {is_behind} THEN {AGE} ELSE 0 END"

    def update(self, received: bytes | None, lag: bytes | None) -> None:
        """Keep the values of the columns.

        Raises:
            ProtocolError: they are not a position and a number.
        """
        if not POSITION.fullmatch(received or b"0/0") or not NUMBER.fullmatch(lag or b"0"):
            msg = "a replica's position or lag that is none"
            raise ProtocolError(msg)
        self._received = received.decode() if received else FIRST_POSITION
        self._received_at = time.monotonic()
        # The clock of the replica may be behind that of the primary.
        self.seconds = max(0.0, float(lag)) if received and lag else None

    def verify(self) -> None:
        """Raise a RequirementError if the lag exceeds the limit."""
        if self._limit is not None and (self.seconds or 0.0) > self._limit:
            msg = f"the replica is {self.seconds:.1f} s behind, max_lag is {self._limit:g}"
            raise RequirementError(Reason.LAGGING, msg)


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
        lag: measured if it is given.
        condition: a query of the user, which runs after this statement if it is given.
    """

    timeout: float
    requirements: Requirements
    lag: ReplicationLag | None = None
    condition: str = ""

    @property
    def limit(self) -> str:
        """The command that sets the timeout."""
        return f"SET LOCAL statement_timeout = {math.ceil(self.timeout * 1000)}"

    def compose(self, number: int) -> str:
        """Return the text of the statement.

        Args:
            number: another one each time, so that no earlier result, nor one from a proxy's cache,
                can be mistaken for the result.
        """
        columns = [str(number), *(requirement.sql for requirement in self._required)]
        if self.lag:
            columns += self.lag.columns
        return f"{self.limit}; SELECT {', '.join(columns)}"

    def verify(self, values: Sequence[bytes | None]) -> None:
        """Raise a RequirementError for the first requirement that is not met.

        Raises:
            ProtocolError: the values don't fit to the columns.
        """
        required = self._required
        met, measured = values[: len(required)], values[len(required) :]
        if len(met) != len(required) or len(measured) != (2 if self.lag else 0):
            msg = "a row with another number of columns than the statement"
            raise ProtocolError(msg)
        if self.lag:
            self.lag.update(*measured)
        for requirement, value in zip(required, met, strict=True):
            if value != b"t":
                msg = f"the server answers that this is not true: {requirement.sql}"
                raise RequirementError(requirement.reason, msg)
        if self.lag:
            self.lag.verify()

    @property
    def _required(self) -> Requirements:
        return self.requirements + (self.lag.requirements if self.lag else ())
