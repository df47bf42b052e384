"""The attacks of hostile Redis servers."""

from collections.abc import Mapping

from app.health import Reason
from tests.service.hostile.client import (
    Attack,
    Script,
    attack,
    byte_by_byte,
    endless,
    hang_up,
    send_total,
    then_frozen,
    trickle,
)
from tests.service.hostile.redis_server import (
    OK,
    always_reply,
    answer_ping,
    bulk,
    first_command,
    honest,
    pinged,
    queued,
    until,
)


MEGABYTE = 2**20

Steps = tuple[bytes | Script, ...]

# Not a valid reply to any of a probe's commands.
REPLIES = {
    "2147483647 elements": b"*2147483647\r\n",
    "9 * 10^18 elements": b"*9223372036854775807\r\n",
    "an array of more than 64 bits": b"*" + b"9" * 40 + b"\r\n",
    "an array of -2": b"*-2\r\n",
    "an array of none": b"*-1\r\n",
    "an empty array": b"*0\r\n",
    "an array without a length": b"*\r\n",
    "512 MB": b"$536870912\r\n",
    "2 GB": b"$2147483648\r\n",
    "9 * 10^18 bytes": b"$9223372036854775807\r\n",
    "a text of -2": b"$-2\r\n",
    "a text of -1": b"$-1\r\n",
    "a text of +2": b"$+2\r\nOK\r\n",
    "a text of 2 with blanks": b"$ 2\r\nOK\r\n",
    "a text of 2_0": b"$2_0\r\n" + b"x" * 20 + b"\r\n",
    "a text without a length": b"$\r\nOK\r\n",
    "a text that is longer than it says": b"$2\r\nOKOK\r\n",
    "a number": b":1\r\n",
    "a number with junk": b":1x\r\n",
    "a number without digits": b":\r\n",
    "a number of 5000 digits": b":" + b"9" * 5000 + b"\r\n",
    "nested arrays": b"*1\r\n" * 10_000,
    "100000 nested arrays": b"*1\r\n" * 100_000,
    "nothing": b"\r\n",
    "nothing of a status": b"+\r\n",
    "NULs": bytes(64),
    "a NUL in a status": b"+O\0K\r\n",
    "a line that ends with LF": b"+OK\n+OK\n+OK\n" * 30_000,
    "CR in a status": b"+O\rK\r\n",
    "no type": b"OK\r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "SMTP": b"220 mail.example.com ESMTP\r\n",
    "bytes of no sense": bytes(range(128, 256)) * 10 + b"\r\n",
    "a map": b"%1\r\n+a\r\n+b\r\n",
    "a set": b"~1\r\n+a\r\n",
    "a push": b">2\r\n+invalidate\r\n_\r\n",
    "null": b"_\r\n",
    "a boolean": b"#t\r\n",
    "a double": b",1.5\r\n",
    "a large number": b"(3492890328409238509324850943850943825024385\r\n",
    "a verbatim text": b"=6\r\ntxt:OK\r\n",
    "a bulk error": b"!9\r\nERR wrong\r\n",
    "an attribute": b"|1\r\n+a\r\n+b\r\n+OK\r\n",
    "a streamed text": b"$?\r\n;2\r\nOK\r\n;0\r\n",
    "2147483647 pairs": b"%2147483647\r\n",
}

BROKEN: Mapping[str, Steps] = {
    **{what: (reply,) for what, reply in REPLIES.items()},
    "512 MB that come": (b"$536870912\r\n", send_total(512 * MEGABYTE)),
    "512 MB that trickle": (b"$536870912\r\n", trickle(b"x")),
    "a status of 20 MB": (b"+", send_total(20 * MEGABYTE), b"\r\n"),
    "an error of 20 MB": (b"-ERR ", send_total(20 * MEGABYTE), b"\r\n"),
    "a number of 20 MB": (b":", endless(b"9")),
    "a status without an end": (b"+", endless(b"x")),
    "statuses without an end": (endless(OK),),
    "numbers without an end": (endless(b":1\r\n"),),
    "pushes without an end": (endless(b">1\r\n+x\r\n"),),
    "arrays without an end": (endless(b"*1\r\n"),),
    "NULs without an end": (endless(bytes(64)),),
}

SLOW: Mapping[str, Steps] = {
    "60 KB that trickle": (b"$60000\r\n", trickle(b"x")),
    "a status without an end that trickles": (b"+", trickle(b"x")),
    "an error without an end that trickles": (b"-", trickle(b"x")),
}

WRONG = {
    "OK to everything": attack(always_reply(OK)),
    "OK to every command of a transaction": attack(always_reply(OK), require="writable"),
    "PONG without the nonce": attack(always_reply(b"+PONG\r\n")),
    "another nonce": attack(pinged, bulk(b"0" * 32)),
    "a nonce as a status": attack(pinged, b"+" + b"0" * 32 + b"\r\n"),
    "no QUEUED": attack(queued, OK, OK, require="writable"),
    "QUEUED twice": attack(until(b"DISCARD"), b"+QUEUED\r\n", require="writable"),
    "QUEUED to MULTI": attack(until(b"MULTI"), b"+QUEUED\r\n" * 3, require="writable"),
    "a number to DISCARD": attack(until(b"DISCARD"), b":1\r\n", require="writable"),
    "an answer before the question": attack(first_command, b"+OK\r\n+OK\r\n+PONG\r\n"),
    "answers on accepting": attack(OK * 3 + b"+PONG\r\n"),
    "a surplus answer to the introduction": attack(until(b"CLIENT"), OK + OK),
    "an end in an answer": attack(pinged, b"$32\r\nabc", hang_up, reason=Reason.DISCONNECTED),
    "an end before an answer": attack(pinged, hang_up, reason=Reason.DISCONNECTED),
    "an alert of TLS": attack(first_command, b"\x15\x03\x01\0\x02\x02\x0a", hang_up),
    "half an answer": attack(pinged, b"$32\r\nabc", reason=Reason.TIMEOUT),
    "half a line": attack(pinged, b"+PO", reason=Reason.TIMEOUT),
    "a CR and no LF": attack(pinged, b"+PONG\r", reason=Reason.TIMEOUT),
}

ERRORS = {
    f"error {text[:30]!r}": attack(phase, b"-" + text + b"\r\n", reason=reason)
    for text, reason, phase in (
        (b"WRONGPASS invalid", Reason.AUTH, first_command),
        (b"WRONGPASS \xe9t\xe9 \xff\xfe", Reason.AUTH, first_command),
        (b"WRONGPASS " + b"x" * 30_000, Reason.AUTH, first_command),
        (b"NOPERM \xff", Reason.DENIED, pinged),
        (b"LOADING \xff", Reason.STARTING, pinged),
        (b"\xff\xfe\xfd", Reason.ERROR, pinged),
        (b"", Reason.ERROR, pinged),
    )
}

# A server that sends more than the reply, and then freezes.
FROZEN = {
    f"{name}, then frozen": attack(
        then_frozen(answer_ping(surplus)), reason=Reason.TIMEOUT, passes=1
    )
    for name, surplus in {
        "nothing": b"",
        "a surplus PONG": b"+PONG\r\n",
        "fifty surplus PONGs": b"+PONG\r\n" * 50,
        "a surplus OK": OK,
        "half an answer": b"+PO",
        "a push": b">1\r\n+x\r\n",
    }.items()
}

REDIS: dict[str, Attack] = {
    **{
        f"{what} to {name}": attack(phase, *steps, reason=reason)
        for table, reason in ((BROKEN, Reason.PROTOCOL), (SLOW, Reason.TIMEOUT))
        for what, steps in table.items()
        for name, phase in (("the first command", first_command), ("PING", pinged))
    },
    **WRONG, **ERRORS, **FROZEN,
    "honest": Attack(honest, None, passes=2),
    "honest in a transaction": Attack(honest, None, passes=2, require="writable"),
    "honest, a byte at a time": Attack(byte_by_byte(honest), None, passes=2),
}  # fmt: skip
