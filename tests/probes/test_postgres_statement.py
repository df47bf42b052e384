import struct

import pytest

from app.checks.errors import ProtocolError
from app.checks.postgres_protocol import parse_row
from app.checks.postgres_statement import DEPTHS, RequirementError, Statement
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
