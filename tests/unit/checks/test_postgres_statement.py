import struct

import pytest

from app.checks.errors import ProtocolError
from app.checks.postgres_protocol import parse_row
from app.checks.postgres_statement import DEPTHS, ReplicationLag, RequirementError, Statement
from app.health import Reason


def test_a_row_has_texts_and_nulls() -> None:
    content = struct.pack("!hi1siii2s", 4, 1, b"t", -1, 0, 2, b"ab")
    assert parse_row(content) == [b"t", None, b"", b"ab"]
    assert parse_row(b"\0\0") == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\0\1",
        b"\0\1\0\0\0\2a",
        b"\0\1\0\0\0\1ab",
        b"\0\2\0\0\0\1a",
        b"\x7f\xff",
        b"\0\1\x7f\xff\xff\xff",
    ],
)
def test_a_row_whose_lengths_do_not_add_up_is_refused(content: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_row(content)


@pytest.mark.parametrize("value", [b"f", None, b"", b"true"])
def test_anything_but_true_does_not_meet_a_requirement(value: bytes | None) -> None:
    statement = Statement(1, DEPTHS["writable"])
    statement.verify([b"t"])
    with pytest.raises(RequirementError) as caught:
        statement.verify([value])
    assert caught.value.reason is Reason.READ_ONLY


@pytest.mark.parametrize("values", [[], [b"t", b"t"]])
def test_another_number_of_columns_is_refused(values: list[bytes | None]) -> None:
    with pytest.raises(ProtocolError):
        Statement(1, DEPTHS["writable"]).verify(values)


REPLICA = [b"t", b"t"]


@pytest.mark.parametrize(
    ("received", "lag", "seconds"),
    [
        (b"0/3000148", b"0", 0.0),
        (b"FFFFFFFF/FFFFFFFF", b"1.500", 1.5),
        (b"0/3000148", b"-0.020", 0.0),
        (b"0/3000148", None, None),
        (None, b"0", None),
    ],
)
def test_a_replica_reports_its_lag(
    received: bytes | None, lag: bytes | None, seconds: float | None
) -> None:
    """No position was received since the start, or no transaction replayed: it is unknown."""
    statement = Statement(1, DEPTHS["replica"], ReplicationLag(2))
    statement.verify([*REPLICA, received, lag])
    assert statement.lag
    assert statement.lag.seconds == seconds
    assert f"pg_last_wal_replay_lsn() < '{(received or b'0/0').decode()}'" in statement.compose(7)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([b"f", b"f", None, b"0"], Reason.NOT_REPLICA),
        ([b"t", b"f", b"0/1", b"0"], Reason.LAGGING),
        ([b"t", None, b"0/1", b"0"], Reason.LAGGING),
        ([b"t", b"t", b"0/1", b"2.001"], Reason.LAGGING),
    ],
)
def test_a_replica_that_is_none_or_lags_has_its_reason(
    values: list[bytes | None], reason: Reason
) -> None:
    with pytest.raises(RequirementError) as caught:
        Statement(1, DEPTHS["replica"], ReplicationLag(2)).verify(values)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("received", "lag"),
    [(b"'; DROP TABLE", b"0"), (b"0/1", b"nan"), (b"0/1", b"9" * 60)],
)
def test_a_lag_that_is_none_is_refused(received: bytes, lag: bytes) -> None:
    """The position is part of the next statement."""
    with pytest.raises(ProtocolError):
        ReplicationLag(None).update(received, lag)
