"""The option `condition`: a SELECT of the user that must return true.

https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
"""

import re
import struct

from app.checks.connection import BoundedConnection
from app.checks.errors import CONDITION_WRITES, ProtocolError
from app.checks.postgres_protocol import (
    ASYNC_MESSAGES,
    PostgresServerError,
    encode_message,
    parse_row,
    read_message,
)
from app.checks.postgres_statement import RequirementError
from app.health import Reason


# The parts of the conversation, each of which ends with ReadyForQuery: the start of the
# transaction, the query, and the end of the transaction. A pooler keeps a server connection that is
# idle again.
PARTS = 3
ANSWER = re.compile(rb"CCZ12(?:TD{0,2}[Cs]|n[CI])ZCZ")
ANSWER_MESSAGES = frozenset(bytes([kind]) for kind in b"CZ12TDsnI")

# The SQLSTATE of a write or a lock in a read-only transaction.
READ_ONLY_TRANSACTION = "25006"

# More rows than one are a mistake, and need not be sent.
MAX_ROWS = 2

# https://www.postgresql.org/docs/current/protocol-message-formats.html, from the end of a field.
TYPE = slice(-12, -8)
BOOLEAN = struct.pack("!i", 16)


async def check_condition(connection: BoundedConnection, query: str, limit: str) -> None:
    """Run a query in a read-only transaction, and check that its one value is true.

    It is sent as one unnamed statement, which can't be several, and which PgBouncer's transaction
    mode supports.

    Args:
        limit: the command that sets the timeout.

    Raises:
        RequirementError: it returns something else, or it writes.
        PostgresServerError: the server refuses it.
        ProtocolError: the answer does not follow the protocol.
        EOFError, OSError: the connection has ended.
    """
    connection.write(_encode(query, limit))
    kinds, columns, rows = b"", b"", list[bytes]()
    error: PostgresServerError | None = None
    while kinds.count(b"Z") < PARTS:
        try:
            kind, content = await read_message(connection, ASYNC_MESSAGES | ANSWER_MESSAGES)
        except PostgresServerError as refusal:
            error = error or refusal
            continue
        except (EOFError, OSError) as lost:
            raise error or lost from None
        kinds += kind if kind in ANSWER_MESSAGES else b""
        if kind == b"T":
            columns = content
        elif kind == b"D":
            rows.append(content)
    if error:
        if error.sqlstate == READ_ONLY_TRANSACTION:
            raise RequirementError(Reason.READ_ONLY, CONDITION_WRITES) from error
        raise error
    if not ANSWER.fullmatch(kinds):
        msg = "a result that does not belong to the condition"
        raise ProtocolError(msg)
    _verify(columns, rows)


def _encode(query: str, limit: str) -> bytes:
    messages = (
        (b"Q", f"BEGIN READ ONLY; {limit}\0".encode()),
        (b"P", b"\0" + query.encode() + b"\0" + bytes(2)),
        (b"B", bytes(8)),
        (b"D", b"P\0"),
        (b"E", b"\0" + struct.pack("!i", MAX_ROWS)),
        (b"S", b""),
        (b"Q", b"ROLLBACK\0"),
    )
    return b"".join(encode_message(*message) for message in messages)


def _verify(columns: bytes, rows: list[bytes]) -> None:
    if columns[:2] != b"\0\1" or columns[TYPE] != BOOLEAN or len(rows) > 1:
        msg = "the condition returns something else than one boolean"
        raise RequirementError(Reason.MISCONFIGURED, msg)
    if not rows or parse_row(rows[0]) != [b"t"]:
        msg = "the condition is not true"
        raise RequirementError(Reason.CONDITION, msg)
