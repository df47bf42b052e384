import json
from pathlib import Path
from typing import Any

import pytest
import trustme

from app.checks.http import HttpOptions
from app.settings import ConfigurationError, Settings, load


CANARY = "CANARY"
URL = "http://minio:9000/minio/health/cluster"


def parse(text: str) -> Settings:
    """Return settings with these checks and no others."""
    return Settings(http_checks=text, checks="", checks_file=None, database_url="", redis_url="")


def problems(text: str) -> list[str]:
    """Return the problems of a text without the setting's name, which starts each line."""
    found = parse(text).parsed_checks[1]
    assert CANARY not in "".join(found)
    assert all(line.startswith("HTTP_CHECKS: ") and line.isprintable() for line in found)
    return [line.removeprefix("HTTP_CHECKS: ") for line in found]


def member_problems(**members: Any) -> list[str]:
    """Return the problems of a check with these members, without the check's name."""
    found = problems(json.dumps({"minio": {"url": URL, **members}}))
    return [line.removeprefix("minio: ") for line in found]


def options(**members: Any) -> HttpOptions:
    """Return the options of a check with these members."""
    [spec] = parse(json.dumps({"minio": {"url": URL, **members}})).check_specs
    assert isinstance(spec.options, HttpOptions)
    return spec.options


def test_a_url_is_enough() -> None:
    """The other members have defaults. An empty text has no checks."""
    assert options() == HttpOptions(url=URL)
    assert parse("").parsed_checks == parse("{}").parsed_checks == ((), (), (), frozenset(), ())


def test_every_member_is_accepted(tmp_path: Path) -> None:
    """The example of the documentation, and the other members."""
    pem, leaf = str(tmp_path / "pem"), trustme.CA().issue_cert("client")
    leaf.private_key_and_cert_chain_pem.write_to_path(pem)
    members = {
        "url": "https://[::1]:8443?a=b",
        "ca": pem,
        "certificate": pem,
        "key": pem,
        "expect": 204,
        "headers": {"x-key": "secret:stack_auth_secret"},
        "interval": 0.5,
        "timeout": 86400,
        "failure_threshold": 20,
        "success_threshold": 2,
        "required": False,
    }
    assert options(**members).model_dump() == members | {"expect": {204}}
    assert not member_problems(**members)


def test_secrets_are_replaced_with_the_content_of_their_files() -> None:
    """Also several in one value."""
    headers = {"authorization": "Bearer secret:a.b", "x": "secret:c-1:secret:d, y", "z": "z"}
    parsed = options(headers=headers)
    assert parsed.secret_names("minio") == {"a.b", "c-1", "d"}
    assert parsed.resolve_headers(lambda name: f"<{name}\\1>") == {
        "authorization": "Bearer <a.b\\1>",
        "x": "<c-1\\1>:<d\\1>, y",
        "z": "z",
    }


@pytest.mark.parametrize("text", [f"{CANARY}\n{CANARY}", f"{CANARY}\n\n", f"{CANARY}\0"])
def test_a_secret_that_a_header_can_not_contain_stops_the_start(
    environ: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    """Otherwise the check would fail later, and only the log would have the cause."""
    (tmp_path / "token").write_text(text)
    check = {"url": URL, "headers": {"authorization": "Bearer secret:token"}}
    environ.setenv("CHECKS", json.dumps({"minio": check}))
    with pytest.raises(ConfigurationError) as caught:
        load()
    [problem] = caught.value.problems
    assert problem.startswith(f"token: {tmp_path / 'token'} contains a line break or another")
    assert CANARY not in problem


JSON = 'must be an object such as {"minio": {"url": "http://minio:9000/"}}. Correct it.'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (CANARY, "invalid JSON at line 1, column 1. Correct it."),
        (f'{{"minio":\n{CANARY}', "invalid JSON at line 2, column 1. Correct it."),
        (f'{{"a": "{CANARY}\n"}}', "invalid JSON at line 1, column 14. Correct it."),
        ("1" * 5000, "a number is too long, or the nesting is too deep. Correct it."),
        ("[" * 100_000, "a number is too long, or the nesting is too deep. Correct it."),
        (f'"{CANARY}" ', JSON),
        (f'[["{CANARY}", {{"url": "{URL}"}}]]', JSON),
        ("null", JSON),
    ],
    ids=lambda value: value[:30],
)
def test_a_value_that_is_not_a_json_object_is_reported(text: str, problem: str) -> None:
    """With the position of invalid JSON."""
    assert problems(text) == [problem]


NAME = "the name must have at most 32 of a-z, 0-9, _ and -, and begin with a letter. Rename it."
TAKEN = "the name is in use. Rename it."
CHECK = f'{{"url": "{URL}"}}'
KNOWN = (
    "Remove it, or use one of required, interval, timeout, failure_threshold, success_threshold, "
    "url, ca, certificate, key, expect, headers."
)
OBJECT = 'must be an object such as {"url": "http://minio:9000/"}. Correct it.'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f'{{"ok": {CHECK}, "{CANARY}": {CHECK}}}', f"check 2: {NAME}"),
        (f'{{"": {CHECK}}}', f"check 1: {NAME}"),
        (f'{{"{"a" * 33}": {CHECK}}}', f"check 1: {NAME}"),
        (f'{{"1st": {CHECK}}}', f"check 1: {NAME}"),
        (f'{{"a\\n": {CHECK}}}', f"check 1: {NAME}"),
        (f'{{"a": {CHECK}, "a": {CHECK}}}', f"a: {TAKEN}"),
        (f'{{"a": "{CANARY}"}}', f"a: {OBJECT}"),
        (f'{{"a": [["url", "{CANARY}"]]}}', f"a: {OBJECT}"),
        ('{"a": {}}', "a: has no url. Add one."),
        (
            f'{{"a": {{"url": "{URL}", "url": "{CANARY}:"}}}}',
            "a: has an option twice: url. Keep one.",
        ),
        (
            f'{{"a": {{"url": "{URL}", "{CANARY}": "{CANARY}"}}}}',
            f"a: has an unknown option. {KNOWN}",
        ),
        (f'{{"a": {{"url": "{URL}", "depth": ""}}}}', f"a: has an unknown option: depth. {KNOWN}"),
        (f'{{"a": {{"url": "{URL}", "\\ud800": ""}}}}', f"a: has an unknown option. {KNOWN}"),
    ],
)
def test_an_invalid_check_is_reported(text: str, problem: str) -> None:
    """By its name, or by its number if the name is invalid."""
    assert problems(text)[0] == problem


def test_two_hundred_checks_are_accepted() -> None:
    """There is no limit but the size of an environment variable."""
    parsed = parse(json.dumps({f"a{number:-<31}": {"url": URL} for number in range(200)}))
    assert (len(parsed.check_specs), parsed.parsed_checks[1]) == (200, ())


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
        f"http://a,b/{CANARY}",
        f"http://a\\b/{CANARY}",
    ],
)
def test_an_invalid_url_is_reported(url: Any) -> None:
    """In one line, without a part of it."""
    form = "url: must have the form http://host:port/path or https://host:port/path. Correct it."
    assert member_problems(url=url) == [form]


@pytest.mark.parametrize("user", [f"user:{CANARY}", CANARY, f":{CANARY}", ""])
def test_a_url_with_credentials_is_rejected(user: str) -> None:
    """A password belongs in a file."""
    remedy = "url: contains credentials. Put them in a header, as secret:NAME."
    assert member_problems(url=f"http://{user}@host/") == [remedy]


@pytest.mark.parametrize(
    "expect", [99, 199, 600, 200.0, "200", "1xx", "6xx", True, None, [], [200, "2x"], 10**400]
)
def test_an_invalid_status_is_reported(expect: Any) -> None:
    """A status must be final, and a number."""
    remedy = (
        'expect: must be a status from 200 to 599, a class such as "2xx", or a list of both. '
        "Correct it or remove it."
    )
    assert member_problems(expect=expect) == [remedy]


@pytest.mark.parametrize(
    ("expect", "some", "number"),
    [(204, {204}, 1), ("2xx", {200, 299}, 100), (["2xx", 404, "5xx", 404], {200, 404, 599}, 201)],
)
def test_a_status_a_class_or_a_list_is_expected(expect: Any, some: set[int], number: int) -> None:
    statuses = options(expect=expect).expect
    assert statuses >= some
    assert len(statuses) == number


@pytest.mark.parametrize("member", ["interval", "timeout"])
@pytest.mark.parametrize(
    "seconds", [0, -1, 0.009, 86400.5, float("nan"), float("inf"), "1", True, None, {}]
)
def test_invalid_seconds_are_reported(member: str, seconds: Any) -> None:
    """The JSON parser of Python accepts Infinity and NaN."""
    remedy = "must be a number of seconds from 0.01 to 86400. Correct it or remove it."
    assert member_problems(**{member: seconds}) == [f"{member}: {remedy}"]


HEADER = 'must be an object such as {"x-key": "secret:NAME"}. Correct it or remove it.'
NO_NAME = "number 1 must have a name of letters, digits and -. Correct it."
NO_TEXT = "number 1 must have a value of printable text. Correct it."
NO_FILE = "number 1 must have a file name without a path after secret:. Correct it."
FRAMING = (
    "number 1 is one of connection, content-length, transfer-encoding, upgrade. "
    "Remove it: the probe sets them."
)


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
        (
            {"x": CANARY, "y": CANARY, "X": CANARY},
            "number 3 repeats the name of another header. Remove it.",
        ),
        ({"Content-Length": "7"}, FRAMING),
    ],
)
def test_invalid_headers_are_reported(headers: Any, problem: str) -> None:
    """By their number: a name or a value may be a secret."""
    assert member_problems(headers=headers) == [f"headers: {problem}"]


def test_all_problems_are_reported_at_once() -> None:
    """One line each. Valid members are kept, so that their secrets are checked too."""
    checks = {
        "a": {"url": CANARY, "expect": 0, "headers": {"x": "secret:x"}, "timeout": 0},
        "B": {"headers": {"": 7, "y": "\n"}},
    }
    [spec], lines, *_ = parse(json.dumps(checks)).parsed_checks
    assert spec.options == HttpOptions(headers={"x": "secret:x"})
    assert [line.split(" must")[0].removeprefix("HTTP_CHECKS: ") for line in lines] == [
        "a: timeout:",
        "a: url:",
        "a: expect:",
        "check 2: the name",
        "check 2: has no url. Add one.",
        "check 2: headers: number 1",
        "check 2: headers: number 1",
        "check 2: headers: number 2",
    ]
