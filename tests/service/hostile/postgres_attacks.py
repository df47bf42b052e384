"""The attacks of hostile PostgreSQL servers."""

from app.health import Reason
from tests.service.hostile.client import (
    Attack,
    attack,
    byte_by_byte,
    endless,
    hang_up,
    script,
    send_total,
    then_frozen,
    trickle,
)
from tests.service.hostile.postgres_server import (
    AUTHENTICATED,
    COLUMNS,
    DONE,
    READY,
    ROW,
    SELECTED,
    SET,
    WELCOME,
    answer_query,
    authenticated,
    authentication,
    error,
    honest,
    message,
    parameter,
    queried,
    read_query,
    started,
    welcomed,
)


GIGABYTE = 2**30

LATIN_1 = "Passwort-Authentifizierung für »vitals« fehlgeschlagen".encode("latin-1")

FLOODS = {
    f"flood of {what} in {name}": attack(phase, endless(piece))
    for name, phase in (("start", started), ("welcome", authenticated), ("question", queried))
    for what, piece in {
        "notices": message(b"N", b"SNOTICE\0C00000\0Mbe warned\0\0"),
        "parameters": parameter(b"application_name", b"x"),
        "notifications": message(b"A", bytes(4) + b"channel\0\0"),
        "long notices": message(b"N", b"M" + b"x" * 60_000 + b"\0\0"),
        "empty notices": message(b"N", b"\0"),
    }.items()
}

HUGE = {
    f"a gigabyte of {kind} in {name}": attack(
        phase, message(kind.encode(), b"", GIGABYTE), send_total(GIGABYTE)
    )
    for name, phase, kinds in (
        ("start", started, "RE"),
        ("welcome", authenticated, "S"),
        ("question", queried, "CDE"),
    )
    for kind in kinds
}

BROKEN = {
    "a gigabyte that trickles": attack(queried, message(b"C", b"", GIGABYTE), trickle(b"x")),
    "60 KB that trickle": attack(
        queried, message(b"C", b"", 60_000), trickle(b"x"), reason=Reason.TIMEOUT
    ),
    "error of 20 MB": attack(started, error(b"28P01", b"x" * 20_000_000)),
    "error of 20 MB to a question": attack(queried, error(b"42501", b"x" * 20_000_000)),
    "error without a state": attack(started, message(b"E", b"Mno\0\0")),
    "error of nothing": attack(started, message(b"E")),
    "state that is not ASCII": attack(started, error(b"28\xff\xfe1")),
    "state that is too long": attack(started, error(b"28P01" * 100)),
    "state that is empty": attack(started, error(b"")),
    "state that is not ASCII to a question": attack(queried, error(b"\xe9\xe9\xe9\xe9\xe9")),
    "authenticated twice": attack(started, AUTHENTICATED, AUTHENTICATED, WELCOME),
    "ready before authentication": attack(started, READY),
    "authenticated with more": attack(started, authentication(0, b"x"), WELCOME),
    "authentication without a number": attack(started, message(b"R", b"\0\0")),
    "answers before the question": attack(authenticated, WELCOME + DONE + READY, read_query),
    "HTTP": attack(started, b"HTTP/1.1 400 Bad Request\r\n\r\n", hang_up),
    "an alert of TLS": attack(started, b"\x15\x03\x01\0\x02\x02\x0a", hang_up),
    "a greeting of MySQL": attack(b"\x4a\0\0\0\x0a8.0.36\0" + bytes(60)),
}

# Sent before READY.
RESULTS = {
    "the end of the first statement alone": SET,
    "the end of the last statement alone": SELECTED,
    "a row without columns": SET + ROW + SELECTED,
    "columns without a row": SET + COLUMNS + SELECTED,
    "two rows": SET + COLUMNS + ROW + ROW + SELECTED,
    "a row of another statement": COLUMNS + ROW + SELECTED + SET,
    "an empty statement": message(b"I"),
    "two answers": DONE + DONE,
    "an answer without an end": b"",
    "the end of nothing": message(b"C"),
    "the end without NUL": message(b"C", b"SELECT 1"),
    "the end with two NULs": message(b"C", b"SELECT 1\0\0"),
    "the end that is not ASCII": message(b"C", b"SELECT \xff\0"),
    "many statements": DONE * 200,
}

STATES = {
    f"ready with {status!r} in {name}": attack(phase, message(b"Z", status))
    for status in (b"", b"\0", b"i", b"\xff", b"II", b"I" * 1000)
    for name, phase in (("welcome", authenticated), ("question", script(queried, DONE)))
}

NUMBERS = {
    f"authentication {number}": attack(started, authentication(number, content))
    for number, content in (
        (1, b""), (2, b""), (4, b"ab"), (6, b""), (7, b""), (8, b"token"), (9, b""), (11, b"r="),
        (12, b"v="), (13, b""), (99, b""), (-1, b""), (2**31 - 1, b""),
        (3, b"more"), (5, b""), (5, b"abc"), (5, b"abcde"),
    )
}  # fmt: skip

# Oddities that a probe ignores.
TOLERATED = {
    f"{name} that nothing needs": attack(authenticated, odd, WELCOME, answer_query(), reason=None)
    for name, odd in {
        "a key of no bytes": message(b"K"),
        "a key of seven bytes": message(b"K", b"1234567"),
        "a key of 256 bytes": message(b"K", bytes(260)),
        "a parameter without NUL": message(b"S", b"TimeZone"),
        "a parameter of nothing": message(b"S"),
        "a parameter of 40 KB": parameter(b"x", b"x" * 40_000),
        "a parameter that is not UTF-8": parameter(b"\xff", b"\xfe"),
        "a version that is none": parameter(b"server_version", b"\xff.x"),
        "an encoding that is none": parameter(b"client_encoding", b"\xff"),
        "a notice in Latin-1": message(b"N", b"SWARNUNG\0C01000\0M" + LATIN_1 + b"\0\0"),
        "a notice of nothing": message(b"N"),
    }.items()
}

# Errors that a client may show, in any encoding and of any length.
TEXTS = {
    name: attack(started, answer, hang_up, reason=reason, connections=connections)
    for name, answer, reason, connections in (
        ("a wrong password in Latin-1", error(b"28P01", LATIN_1), Reason.AUTH, 1),
        ("a wrong password in binary", error(b"28P01", bytes(range(1, 256))), Reason.AUTH, 1),
        ("a wrong password in 30 KB", error(b"28P01", b"x" * 30_000), Reason.AUTH, 1),
        ("a wrong password without an end", message(b"E", b"C28P01"), Reason.AUTH, 1),
        ("a refused role in Latin-1", error(b"28000", LATIN_1), Reason.DENIED, 2),
        ("an unknown state", error(b"ZZ999"), Reason.ERROR, 1),
    )
}

# A server that sends more than the result, and then freezes.
SURPLUS = {
    f"{name}, then frozen": attack(
        then_frozen(script(welcomed, answer_query(surplus))), reason=Reason.TIMEOUT, passes=1
    )
    for name, surplus in {
        "nothing": b"",
        "a surplus answer": DONE + READY,
        "fifty surplus answers": (DONE + READY) * 50,
        "ready again": READY,
        "half an answer": DONE,
        "notices": message(b"N", b"SNOTICE\0C00000\0Mx\0\0") * 20,
    }.items()
}

POSTGRES: dict[str, Attack] = {
    **FLOODS, **HUGE, **BROKEN, **STATES, **NUMBERS, **TOLERATED, **TEXTS, **SURPLUS,
    **{name: attack(queried, result, READY) for name, result in RESULTS.items()},
    "a refused question in Latin-1": attack(
        queried, error(b"42501", LATIN_1), READY, reason=Reason.DENIED, connections=1
    ),
    "honest": Attack(honest, None, passes=2),
    "honest, a byte at a time": Attack(byte_by_byte(honest), None, passes=2),
}  # fmt: skip
