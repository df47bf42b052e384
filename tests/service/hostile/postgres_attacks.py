"""The attacks of hostile PostgreSQL servers."""

from app.health import Reason
from tests.service.hostile.client import (
    Attack,
    Script,
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


def huge(phase: Script, kind: bytes) -> Script:
    """Return a script that announces a gigabyte and sends it."""
    return script(phase, message(kind, b"", GIGABYTE), send_total(GIGABYTE))


FLOODS = {
    f"flood of {what} in {name}": Attack(script(phase, endless(piece)))
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
    f"a gigabyte of {kind.decode()} in {name}": Attack(huge(phase, kind))
    for name, phase, kind in (
        ("start", started, b"R"),
        ("start", started, b"E"),
        ("welcome", authenticated, b"S"),
        ("question", queried, b"C"),
        ("question", queried, b"D"),
        ("question", queried, b"E"),
    )
}

BROKEN = {
    "a gigabyte that trickles": Attack(
        script(queried, message(b"C", b"", GIGABYTE), trickle(b"x"))
    ),
    "60 KB that trickle": Attack(
        script(queried, message(b"C", b"", 60_000), trickle(b"x")), Reason.TIMEOUT
    ),
    "error of 20 MB": Attack(script(started, error(b"28P01", b"x" * 20_000_000))),
    "error of 20 MB to a question": Attack(script(queried, error(b"42501", b"x" * 20_000_000))),
    "error without a state": Attack(script(started, message(b"E", b"Mno\0\0"))),
    "error of nothing": Attack(script(started, message(b"E"))),
    "state that is not ASCII": Attack(script(started, error(b"28\xff\xfe1"))),
    "state that is too long": Attack(script(started, error(b"28P01" * 100))),
    "state that is empty": Attack(script(started, error(b""))),
    "state that is not ASCII to a question": Attack(
        script(queried, error(b"\xe9\xe9\xe9\xe9\xe9"))
    ),
    "authenticated twice": Attack(script(started, AUTHENTICATED, AUTHENTICATED, WELCOME)),
    "ready before authentication": Attack(script(started, READY)),
    "authenticated with more": Attack(script(started, authentication(0, b"x"), WELCOME)),
    "authentication without a number": Attack(script(started, message(b"R", b"\0\0"))),
    **{
        name: Attack(script(queried, answer, READY))
        for name, answer in {
            "the end of the first statement alone": SET,
            "the end of the last statement alone": SELECTED,
            "a row without columns": SET + ROW + SELECTED,
            "columns without a row": SET + COLUMNS + SELECTED,
            "two rows": SET + COLUMNS + ROW + ROW + SELECTED,
            "a row of another statement": COLUMNS + ROW + SELECTED + SET,
            "an empty statement": message(b"I"),
            "two answers": DONE + DONE,
        }.items()
    },
    "an answer without an end": Attack(script(queried, READY)),
    "the end of nothing": Attack(script(queried, message(b"C"), READY)),
    "the end without NUL": Attack(script(queried, message(b"C", b"SELECT 1"), READY)),
    "the end with two NULs": Attack(script(queried, message(b"C", b"SELECT 1\0\0"), READY)),
    "the end that is not ASCII": Attack(script(queried, message(b"C", b"SELECT \xff\0"), READY)),
    "many statements": Attack(script(queried, DONE * 200, READY)),
    "answers before the question": Attack(
        script(authenticated, WELCOME + DONE + READY, read_query)
    ),
    "HTTP": Attack(script(started, b"HTTP/1.1 400 Bad Request\r\n\r\n", hang_up)),
    "an alert of TLS": Attack(script(started, b"\x15\x03\x01\0\x02\x02\x0a", hang_up)),
    "a greeting of MySQL": Attack(script(b"\x4a\0\0\0\x0a8.0.36\0" + bytes(60))),
}

STATES = {
    f"ready with {status!r} in {name}": Attack(script(phase, message(b"Z", status)))
    for status in (b"", b"\0", b"i", b"\xff", b"II", b"I" * 1000)
    for name, phase in (("welcome", authenticated), ("question", script(queried, DONE)))
}

NUMBERS = {
    f"authentication {number}": Attack(script(started, authentication(number, content)))
    for number, content in (
        (1, b""), (2, b""), (4, b"ab"), (6, b""), (7, b""), (8, b"token"), (9, b""), (11, b"r="),
        (12, b"v="), (13, b""), (99, b""), (-1, b""), (2**31 - 1, b""),
        (3, b"more"), (5, b""), (5, b"abc"), (5, b"abcde"),
    )
}  # fmt: skip

# Oddities that a probe ignores.
TOLERATED = {
    f"{name} that nothing needs": Attack(script(authenticated, odd, WELCOME, answer_query()), None)
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
} | {
    "honest": Attack(honest, None, passes=2),
    "honest, a byte at a time": Attack(byte_by_byte(honest), None, passes=2),
}

TEXTS = {
    "a wrong password in Latin-1": Attack(
        script(started, error(b"28P01", LATIN_1), hang_up), Reason.AUTH, connections=1
    ),
    "a wrong password in binary": Attack(
        script(started, error(b"28P01", bytes(range(1, 256))), hang_up), Reason.AUTH, connections=1
    ),
    "a wrong password in 30 KB": Attack(
        script(started, error(b"28P01", b"x" * 30_000), hang_up), Reason.AUTH, connections=1
    ),
    "a refused role in Latin-1": Attack(
        script(started, error(b"28000", LATIN_1), hang_up), Reason.DENIED
    ),
    "a wrong password without an end": Attack(
        script(started, message(b"E", b"C28P01"), hang_up), Reason.AUTH, connections=1
    ),
    "an unknown state": Attack(
        script(started, error(b"ZZ999"), hang_up), Reason.ERROR, connections=1
    ),
    "a refused question in Latin-1": Attack(
        script(queried, error(b"42501", LATIN_1), READY), Reason.DENIED, connections=1
    ),
}

# A server that sends more than the result, and then freezes.
SURPLUS = {
    f"{name}, then frozen": Attack(
        then_frozen(script(welcomed, answer_query(surplus))), Reason.TIMEOUT, passes=1
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
    **FLOODS, **HUGE, **BROKEN, **STATES, **NUMBERS,
    **TOLERATED, **TEXTS, **SURPLUS,
}  # fmt: skip
