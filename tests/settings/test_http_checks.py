import json
from typing import Any

import pytest

from app.settings.checks import HttpTarget, read_http_checks


CANARY = "CANARY"
URL = "http://minio:9000/minio/health/cluster"


def problems(text: str) -> list[str]:
    """What is said of a text, without the setting's name, which each line begins with."""
    found = read_http_checks(text)[1]
    assert CANARY not in "".join(found)
    assert all(line.startswith("HTTP_CHECKS ") and line.isprintable() for line in found)
    return [line.removeprefix("HTTP_CHECKS ") for line in found]


def judged(**members: Any) -> list[str]:
    """What is said of a check with these members, and without the check's name."""
    found = problems(json.dumps({"minio": {"url": URL, **members}}))
    return [line.removeprefix("minio: ") for line in found]


def test_a_url_is_enough() -> None:
    """The rest has defaults; no text is no check."""
    assert read_http_checks(json.dumps({"minio": {"url": URL}})) == ([HttpTarget("minio", URL)], [])
    assert read_http_checks("") == read_http_checks("{}") == ([], [])


def test_everything_can_be_said() -> None:
    """The example of the interface, and its further members."""
    text = json.dumps(
        {
            "minio": {
                "url": URL,
                "expect": 204,
                "headers": {"x-key": "secret:stack_auth_secret"},
                "interval": 0.5,
                "timeout": 86400,
            },
            "s3_eu-1": {"url": "https://[::1]:8443?a=b"},
        }
    )
    headers = (("x-key", "secret:stack_auth_secret"),)
    assert read_http_checks(text) == (
        [
            HttpTarget("minio", URL, 204, headers, 0.5, 86400),
            HttpTarget("s3_eu-1", "https://[::1]:8443?a=b"),
        ],
        [],
    )


def test_secrets_stand_for_the_content_of_their_files() -> None:
    """Within a value and more than one; each is read by its name."""
    headers = (("authorization", "Bearer secret:a.b"), ("x", "secret:c-1:secret:d, y"), ("z", "z"))
    target = HttpTarget("minio", URL, headers=headers)
    assert target.secrets == {"a.b", "c-1", "d"}
    assert target.filled(lambda name: f"<{name}\\1>") == {
        "authorization": "Bearer <a.b\\1>",
        "x": "<c-1\\1>:<d\\1>, y",
        "z": "z",
    }


JSON = 'must be an object like {"minio": {"url": "http://minio:9000/"}}: correct it'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (CANARY, "is not JSON from line 1, column 1 on: correct it"),
        (f'{{"minio":\n{CANARY}', "is not JSON from line 2, column 1 on: correct it"),
        (f'{{"a": "{CANARY}\n"}}', "is not JSON from line 1, column 14 on: correct it"),
        ("1" * 5000, "holds too long a number or is nested too deep: correct it"),
        ("[" * 100_000, "holds too long a number or is nested too deep: correct it"),
        (f'"{CANARY}"', JSON),
        (f'[["{CANARY}", {{"url": "{URL}"}}]]', JSON),
        ("null", JSON),
    ],
    ids=lambda value: value[:30],
)
def test_what_is_no_object_of_checks_is_told(text: str, problem: str) -> None:
    """Where it stops being JSON, too."""
    assert problems(text) == [problem]


NAME = (
    "must have a name of a-z, 0-9, _ and - that begins with a letter and has 32 at most: rename it"
)
TAKEN = "has a name that is taken: rename it"
CHECK = f'{{"url": "{URL}"}}'
OBJECT = 'must be an object like {"url": "http://minio:9000/"}: correct it'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f'{{"ok": {CHECK}, "{CANARY}": {CHECK}}}', f"check 2: {NAME}"),
        (f'{{"": {CHECK}}}', f"check 1: {NAME}"),
        (f'{{"{"a" * 33}": {CHECK}}}', f"check 1: {NAME}"),
        (f'{{"1st": {CHECK}}}', f"check 1: {NAME}"),
        (f'{{"a\\n": {CHECK}}}', f"check 1: {NAME}"),
        (f'{{"postgres": {CHECK}}}', f"postgres: {TAKEN}"),
        (f'{{"redis": {CHECK}}}', f"redis: {TAKEN}"),
        (f'{{"a": {CHECK}, "a": {CHECK}}}', f"a: {TAKEN}"),
        (f'{{"a": "{CANARY}"}}', f"a: {OBJECT}"),
        (f'{{"a": [["url", "{CANARY}"]]}}', f"a: {OBJECT}"),
        ('{"a": {}}', "a: has no url: give it one"),
        (f'{{"a": {{"url": "{URL}", "url": "{CANARY}:"}}}}', "a: holds a member twice: keep one"),
        (
            f'{{"a": {{"url": "{URL}", "{CANARY}": "{CANARY}"}}}}',
            "a: holds a member that is none of url, expect, headers, interval, timeout: remove it",
        ),
    ],
)
def test_a_check_that_is_none_is_told(text: str, problem: str) -> None:
    """By its name, or by its place where the name might be anything."""
    assert problems(text)[0] == problem


def test_there_are_thirty_checks_at_most() -> None:
    """So that an answer stays short."""
    checks = {f"a{number:-<31}": {"url": URL} for number in range(31)}
    told = "holds 31 checks: keep 30 at most, and give others to another instance"
    assert problems(json.dumps(checks)) == [told]
    del checks[f"a{7:-<31}"]
    assert len(read_http_checks(json.dumps(checks))[0]) == 30
    assert not problems(json.dumps(checks))


@pytest.mark.parametrize(
    "url",
    [
        7,
        None,
        "",
        CANARY,
        f"/{CANARY}",
        f"ftp://{CANARY}/",
        f"http:{CANARY}",
        f"http:///{CANARY}",
        f"http://{CANARY}:0/",
        f"http://{CANARY}:65536/",
        f"http://host:{CANARY}/",
        f"http://[{CANARY}]/",
        f"http://[::1/{CANARY}",
        f"http://host/ {CANARY}",
        f"http://host/\r\n{CANARY}",
        f"http://hóst/{CANARY}",
        f"http://a..b/{CANARY}",
        f"http://{'a' * 64}/{CANARY}",
    ],
)
def test_a_url_that_can_not_be_asked_is_told(url: Any) -> None:
    """In one line, and without a part of it."""
    form = "url must read http://host:port/path or https://host:port/path: correct it"
    assert judged(url=url) == [form]


@pytest.mark.parametrize("user", [f"user:{CANARY}", CANARY, f":{CANARY}", ""])
def test_a_url_with_credentials_is_refused(user: str) -> None:
    """A password has its place in a file."""
    remedy = "url holds credentials: put them into a header, as secret:NAME"
    assert judged(url=f"http://{user}@host/") == [remedy]


@pytest.mark.parametrize("expect", [99, 199, 600, 200.0, "200", True, None, [200], 10**400])
def test_a_status_that_is_none_is_told(expect: Any) -> None:
    """Whole, and one of HTTP's that may end an exchange."""
    remedy = "expect must be a whole number from 200 to 599: correct it, or leave it out"
    assert judged(expect=expect) == [remedy]


@pytest.mark.parametrize("member", ["interval", "timeout"])
@pytest.mark.parametrize(
    "seconds", [0, -1, 0.009, 86400.5, float("nan"), float("inf"), "1", True, None, {}]
)
def test_seconds_that_are_none_are_told(member: str, seconds: Any) -> None:
    """JSON as Python reads it knows Infinity and NaN, which are none."""
    remedy = "must be a number of seconds from 0.01 to 86400: correct it, or leave it out"
    assert judged(**{member: seconds}) == [f"{member} {remedy}"]


HEADER = 'must be an object like {"x-key": "secret:NAME"}: correct it, or leave it out'
NO_NAME = "must have names of letters, digits and -: correct that of number 1"
NO_TEXT = "must have values of printable text: correct that of number 1"
NO_FILE = "must name a secret's file after secret: and no path: correct number 1"
FRAMING = "must leave connection, content-length, transfer-encoding, upgrade to the probe"


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        (CANARY, HEADER),
        ([CANARY], HEADER),
        (None, HEADER),
        ({"": CANARY}, NO_NAME),
        ({f"x {CANARY}": ""}, NO_NAME),
        ({f"x: {CANARY}": ""}, NO_NAME),
        ({f"x\r\n{CANARY}": ""}, NO_NAME),
        ({f"x{CANARY}ö": ""}, NO_NAME),
        ({"x": 7}, NO_TEXT),
        ({"x": {CANARY: CANARY}}, NO_TEXT),
        ({"x": f"{CANARY}\r\nX-More: {CANARY}"}, NO_TEXT),
        ({"x": f"{CANARY}\0"}, NO_TEXT),
        ({"x": f" {CANARY}"}, NO_TEXT),
        ({"x": f"{CANARY}\ud800"}, NO_TEXT),
        ({"x": "secret:"}, NO_FILE),
        ({"x": f"secret: {CANARY}"}, NO_FILE),
        ({"x": f"secret:/{CANARY}"}, NO_FILE),
        ({"x": f"secret:../{CANARY}"}, NO_FILE),
        ({"x": f"secret:a secret:b\\{CANARY}"}, NO_FILE),
        ({"x": CANARY, "y": CANARY, "X": CANARY}, "must have each name once: remove number 3"),
        ({"Content-Length": "7"}, f"{FRAMING}: remove number 1"),
    ],
)
def test_headers_that_can_not_be_sent_are_told(headers: Any, problem: str) -> None:
    """By their place: a name or a value might be anything."""
    assert judged(headers=headers) == [f"headers {problem}"]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """A line each; what is right is given all the same, so that its secrets can be looked for."""
    checks = {
        "a": {"url": CANARY, "expect": 0, "headers": {"x": "secret:x"}, "timeout": 0},
        "B": {"headers": {"": 7, "y": "\n"}},
    }
    targets, lines = read_http_checks(json.dumps(checks))
    assert targets == [HttpTarget("a", headers=(("x", "secret:x"),))]
    assert [line.split(" must")[0].removeprefix("HTTP_CHECKS ") for line in lines] == [
        "a: url",
        "a: expect",
        "a: timeout",
        "check 2:",
        "check 2: has no url: give it one",
        "check 2: headers",
        "check 2: headers",
        "check 2: headers",
    ]
