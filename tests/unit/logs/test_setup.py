import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import app
from app.api.routes import is_probe
from app.logs import configure_if_unconfigured
from app.logs.formats import MAX_LINE, ConsoleFormatter, JsonFormatter
from app.logs.setup import MAX_REMEMBERED, ProbeAccessFilter, RepetitionFilter
from tests.support.devservers import Valkey
from tests.support.faults.fault import Refuse
from tests.support.faults.proxy import proxy_in_thread
from tests.support.ports import free_port
from tests.support.service import ROOT, SERVE, UVICORN, clean, on, running


TIMES = 30


def record(**fields: Any) -> logging.LogRecord:
    """Return a record of a check that failed."""
    made = logging.makeLogRecord(
        {"name": "vitals", "levelname": "WARNING", "msg": "check %s", "args": ("failed",)}
    )
    made.created = 1_763_892_000.25
    vars(made).update(fields)
    return made


def test_json_holds_the_event_and_its_fields() -> None:
    """One object a line, in a fixed order; a value that JSON does not know becomes text."""
    line = JsonFormatter().format(
        record(check="redis", duration_s=1.5, cause="two\nlines", odd={1})
    )
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2025-11-23T10:00:00.250Z",
        "level": "warning",
        "severity": "WARNING",
        "logger": "vitals",
        "event": "check failed",
        "check": "redis",
        "duration_s": 1.5,
        "cause": "two\nlines",
        "odd": "{1}",
    }


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        ("DEBUG", "DEBUG"),
        ("INFO", "INFO"),
        ("WARNING", "WARNING"),
        ("ERROR", "ERROR"),
        ("CRITICAL", "CRITICAL"),
        ("TRACE", "DEBUG"),
        ("NOTICE", "INFO"),
    ],
)
def test_json_has_the_severity_that_log_services_know(level: str, severity: str) -> None:
    """A level of another library gets the next lower standard one."""
    number = {"TRACE": 5, "NOTICE": 25}.get(level) or logging.getLevelNamesMapping()[level]
    line = json.loads(JsonFormatter().format(record(levelname=level, levelno=number)))
    assert (line["level"], line["severity"]) == (level.lower(), severity)


def test_a_field_without_a_value_is_left_out() -> None:
    """Zero and False are values."""
    fields = {"reason": None, "cause": "", "failures": 0, "required": False}
    line = json.loads(JsonFormatter().format(record(**fields)))
    assert {name: line[name] for name in fields if name in line} == {
        "failures": 0,
        "required": False,
    }


@pytest.mark.parametrize(
    ("logger", "message", "args", "expected"),
    [
        (
            "uvicorn.error",
            "Started server process [%d]",
            (7,),
            {"logger": "vitals", "event": "server process started", "pid": 7},
        ),
        (
            "uvicorn.error",
            "Uvicorn running on %s://%s:%d (Press CTRL+C to quit)",
            ("http", "127.0.0.1", 8000),
            {
                "logger": "vitals",
                "event": "server listening",
                "scheme": "http",
                "host": "127.0.0.1",
                "port": 8000,
            },
        ),
        (
            "uvicorn.error",
            "%s has no name of ours",
            ("this",),
            {"logger": "vitals", "event": "this has no name of ours"},
        ),
        (
            "uvicorn.access",
            '%s - "%s %s HTTP/%s" %d',
            ("10.0.0.7:1234", "GET", "/health/ready", "1.1", 503),
            {
                "logger": "uvicorn.access",
                "event": "request completed",
                "client": "10.0.0.7:1234",
                "method": "GET",
                "path": "/health/ready",
                "http_version": "1.1",
                "status": 503,
            },
        ),
        ("mine", "Shutting down", (), {"logger": "mine", "event": "Shutting down"}),
    ],
)
def test_messages_of_uvicorn_are_events_with_fields(
    logger: str, message: str, args: tuple[Any, ...], expected: dict[str, Any]
) -> None:
    """Under our logger, but for the access log; records of other loggers stay the same."""
    line = json.loads(JsonFormatter().format(record(name=logger, msg=message, args=args)))
    assert {
        name: value for name, value in line.items() if name not in {"time", "level", "severity"}
    } == expected


def test_the_console_has_one_line_for_people() -> None:
    """Without empty fields; a text can't start a line of its own, or control the terminal."""
    line = ConsoleFormatter().format(record(check="redis", reason=None, cause="two\n\x1b[2Jlines"))
    assert line == "10:00:00.250 warning  check failed check=redis cause=two\\n\\x1b[2Jlines"


def test_the_text_of_an_exception_can_not_fake_a_line_or_control_the_terminal() -> None:
    """A server may have chosen the text."""
    error = LookupError("no\n10:00:00.250 warning  all is \x1b[32mwell")
    first, *others = (
        ConsoleFormatter().format(record(exc_info=(type(error), error, None))).split("\n")
    )
    assert first == "10:00:00.250 warning  check failed"
    assert others == ["  LookupError: no", "  10:00:00.250 warning  all is \\x1b[32mwell"]


def group() -> ExceptionGroup[Exception]:
    """Return a group of 100 exceptions with texts of a megabyte, each with a chain of 1,000."""
    errors = list[Exception]()
    for number in range(100):
        error = ValueError(number)
        for _ in range(1000):
            error, earlier = ValueError(HUGE), error
            error.__cause__ = earlier
        errors.append(error)
    return ExceptionGroup(HUGE, errors)


def deep(calls: int) -> None:
    """Raise an error with a long text, *calls* calls deep."""
    if calls:
        deep(calls - 1)
    raise ValueError(HUGE)


def raised(error: Callable[[], None]) -> BaseException:
    """Return the exception that a call raises."""
    with pytest.raises(ValueError, match=HUGE[:9]) as caught:
        error()
    return caught.value


HUGE = "\N{SNOWMAN}\udcff" * 500_000

LONG: dict[str, Callable[[], dict[str, Any]]] = {
    "event": lambda: {"msg": HUGE, "args": ()},
    "argument": lambda: {"msg": "%s went", "args": (HUGE,)},
    "logger": lambda: {"name": HUGE},
    "level": lambda: {"levelname": HUGE},
    "field": lambda: {"path": HUGE},
    "field's name": lambda: {HUGE: 1},
    "list": lambda: {"stack": [HUGE] * 9},
    "object": lambda: {"odd": Path(HUGE)},
    "many fields": lambda: {f"field{number}": HUGE for number in range(1000)},
    "error": lambda: with_error(ValueError(HUGE)),
    "note": lambda: with_error(raised(partial(deep, 900))),
    "group": lambda: with_error(group()),
}


def with_error(error: BaseException) -> dict[str, Any]:
    """Return the attribute that gives a record an exception."""
    error.add_note(HUGE)
    return {"exc_info": (type(error), error, error.__traceback__)}


@pytest.mark.parametrize("long", LONG)
def test_a_line_has_a_bounded_length(long: str) -> None:
    """The line is still JSON with its event, and shows that it was cut."""
    fields = LONG[long]()
    line = JsonFormatter().format(record(**fields))
    assert len(line) <= MAX_LINE
    parsed = json.loads(line)
    assert "\u2026" in line.encode().decode("unicode_escape") or "cut" in parsed
    assert parsed["event"].startswith(HUGE[:9] if long in {"event", "argument"} else "check failed")
    assert len(ConsoleFormatter().format(record(**fields)).encode(errors="replace")) <= 4 * MAX_LINE


def test_an_exception_keeps_its_latest_calls_and_its_cause() -> None:
    """Where it was raised, its text, its notes and its cause, even if the traceback is cut."""
    error = raised(partial(deep, 900))
    error.add_note("a note")
    error.__cause__ = KeyError("the cause")
    line = JsonFormatter().format(record(exc_info=(type(error), error, error.__traceback__)))
    cause, _, traceback = json.loads(line)["error"].partition("\n\n")
    assert cause == "KeyError: 'the cause'"
    assert traceback.startswith("Traceback (most recent call last):\n")
    assert "raise ValueError(HUGE)" in traceback
    assert traceback.splitlines()[-2].startswith(f"ValueError: {HUGE[:9]}")
    assert traceback.endswith("\na note")


@pytest.mark.parametrize(("is_suppressed", "texts"), [(False, 2), (True, 1)])
def test_an_error_keeps_the_one_that_it_replaced_unless_the_code_hides_that(
    *, is_suppressed: bool, texts: int
) -> None:
    """As `raise ... from None` does if the first one quotes too much."""
    error = ValueError("second")
    error.__context__, error.__suppress_context__ = KeyError("first"), is_suppressed
    line = JsonFormatter().format(record(exc_info=(type(error), error, None)))
    assert json.loads(line)["error"].count("Error: ") == texts


@pytest.mark.parametrize("formatter", [JsonFormatter, ConsoleFormatter])
def test_an_exception_is_logged_with_class_and_text(formatter: type[logging.Formatter]) -> None:
    """In both formats."""
    error = ZeroDivisionError("not expected")
    line = formatter().format(record(exc_info=(type(error), error, None)))
    assert "ZeroDivisionError: not expected" in line


@pytest.mark.parametrize(
    ("path", "status", "is_logged"),
    [
        ("/health", 200, False),
        ("/livez/", 200, False),
        ("/health/checks/redis", 200, False),
        ("/readyz?verbose&exclude=redis", 200, False),
        ("/readyz", 503, True),
        ("/healthier", 200, True),
        ("/orders?next=/health", 200, True),
    ],
)
def test_only_successful_probes_are_filtered(path: str, status: int, *, is_logged: bool) -> None:
    """With any query; a path that only resembles a health path is logged."""
    line = logging.makeLogRecord({"args": ("10.0.0.7:1234", "GET", path, "1.1", status)})
    assert ProbeAccessFilter(is_probe).filter(line) is is_logged


def test_a_failing_probe_is_logged_once_a_minute_with_a_count() -> None:
    """For each client, method, path and status; ports and queries don't matter."""
    log_filter = ProbeAccessFilter(is_probe)

    def suppressed(at: float, client: str, path: str, status: int = 503) -> int | None:
        """Return the number of suppressed lines that a line reports; None if it is suppressed."""
        made = logging.makeLogRecord({"args": (client, "GET", path, "1.1", status), "created": at})
        return vars(made).get("suppressed", 0) if log_filter.filter(made) else None

    assert suppressed(0, "10.0.0.7:1", "/health/ready") == 0
    assert suppressed(5, "10.0.0.7:2", "/health/ready") is None
    assert suppressed(10, "10.0.0.7:3", "/health/ready?verbose") is None
    assert suppressed(10, "10.0.0.8:3", "/health/ready") == 0
    assert suppressed(10, "10.0.0.7:3", "/health/ready", 429) == 0
    assert suppressed(10, "10.0.0.7:3", "/health/live") == 0
    assert suppressed(10, "10.0.0.7:3", "/orders") == 0
    assert suppressed(11, "10.0.0.7:3", "/orders") == 0
    assert suppressed(60, "10.0.0.7:4", "/health/ready") == 2
    assert suppressed(61, "10.0.0.7:4", "/health/ready") is None
    # The next outage starts with a count of its own.
    assert suppressed(86_400, "10.0.0.7:4", "/health/ready") == 0


def test_an_answer_that_is_no_failure_is_not_suppressed() -> None:
    """A route below a health path may answer with another status than 200."""
    log_filter = ProbeAccessFilter(is_probe)
    args = ("10.0.0.7:1", "GET", "/health/ready", "1.1", 204)
    lines = [logging.makeLogRecord({"args": args}) for _ in range(3)]
    assert all(map(log_filter.filter, lines))


def test_the_filter_remembers_a_bounded_number_of_lines() -> None:
    """Clients choose the paths below /health/checks/."""
    log_filter = ProbeAccessFilter(is_probe)
    for number in range(3 * MAX_REMEMBERED):
        path = f"/health/checks/{number}/{'x' * 10_000}"
        made = logging.makeLogRecord({"args": ("10.0.0.7:1", "GET", path, "1.1", 404)})
        assert log_filter.filter(made)
    passed = log_filter._passed_at  # noqa: SLF001 - the memory is under test
    assert len(passed) <= MAX_REMEMBERED
    assert max(map(len, map(str, passed))) < 1000


def test_a_warning_of_uvicorn_is_logged_once_a_minute_with_a_count() -> None:
    """Each message by itself, and also if the clock is set back."""
    log_filter = RepetitionFilter()

    def suppressed(at: float, text: str, level: int = logging.WARNING) -> int | None:
        """Return the number of suppressed lines that a line reports; None if it is suppressed."""
        made = logging.makeLogRecord({"msg": text, "levelno": level, "created": at})
        return vars(made).get("suppressed", 0) if log_filter.filter(made) else None

    assert [suppressed(at, "no request") for at in (100, 100, 159.9)] == [0, None, None]
    assert suppressed(130, "no upgrade") == 0
    assert [suppressed(at, "no request") for at in (160, 161, 220, 280)] == [2, None, 1, 0]
    assert [suppressed(at, "no request") for at in (-3600, -3600)] == [0, None]
    assert [suppressed(at, "an error", logging.ERROR) for at in (100, 100)] == [0, 0]


def lines_of(log: Path) -> list[dict[str, Any]]:
    """Return the lines of a service's log, parsed."""
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.slow
def test_each_status_change_is_one_line(valkey: Valkey, tmp_path: Path) -> None:
    """Thirty failures and recoveries are sixty lines; only failures have a reason and a cause."""
    with proxy_in_thread("127.0.0.1", valkey.port) as proxy:
        environ = on(None, valkey) | {
            "REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0",
            "CHECK_INTERVAL": "0.03",
            "CHECK_TIMEOUT": "5",  # of nothing but what is broken
        }
        with running(environ, tmp_path / "log") as service:
            service.until("redis", None, 5)
            for _ in range(TIMES):
                proxy.break_with(Refuse())
                service.until("redis", "refused", 5)
                proxy.heal()
                service.until("redis", None, 5)
    lines = lines_of(tmp_path / "log")
    changes = [line for line in lines if line["event"] == "check status changed"]
    assert [line["to"] for line in changes] == ["pass"] + ["fail", "pass"] * TIMES
    first_pass, failed = changes[:2]
    assert not {"reason", "cause"} & first_pass.keys()
    assert failed.keys() >= {"time", "check", "from", "to", "reason", "cause", "duration_s"}
    assert (failed["check"], failed["reason"], failed["level"]) == ("redis", "refused", "warning")
    assert "[Errno 111] Connection refused; address 127.0.0.1, port " in failed["cause"]
    assert valkey.password_file.read_text() not in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_the_log_under_the_uvicorn_command_is_json_too(valkey: Valkey, tmp_path: Path) -> None:
    """From the moment when the settings are read."""
    environ = on(None, valkey) | {"CHECK_TIMEOUT": "5"}
    with running(environ, tmp_path / "log", UVICORN) as service:
        service.until("redis", None, 5)
        service.ask("/nowhere")
    lines = [
        json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line[0] == "{"
    ]
    change = next(line for line in lines if line["event"] == "check status changed")
    assert (change["check"], change["to"]) == ("redis", "pass")
    assert {"vitals", "uvicorn.access"} == {line["logger"] for line in lines}


@pytest.mark.slow
def test_the_start_line_has_version_address_and_checks(valkey: Valkey, tmp_path: Path) -> None:
    """All lines of a normal start and stop but access lines carry the logger `vitals`."""
    with running(on(None, valkey) | {"CHECK_TIMEOUT": "5"}, tmp_path / "log") as service:
        service.until("redis", None, 5)
    lines = lines_of(tmp_path / "log")
    start = next(line for line in lines if line["event"] == "service started")
    assert (start["version"], start["address"]) == (
        app.__version__,
        f"http://127.0.0.1:{service.port}",
    )
    (check,) = start["checks"]
    assert (check["name"], check["kind"]) == ("redis", "redis")
    assert (check["interval_s"], check["timeout_s"]) == (0.2, 5)
    assert str(valkey.port) not in str(start["checks"])
    loggers = {line["logger"] for line in lines if line["event"] != "request completed"}
    assert loggers == {"vitals"}


@pytest.mark.slow
def test_no_access_log_switches_the_access_log_off(valkey: Valkey, tmp_path: Path) -> None:
    """The option of the uvicorn command works as without Vitals."""
    command = (*UVICORN[:-1], "--no-access-log", "--port")
    with running(on(None, valkey), tmp_path / "log", command) as service:
        service.until("redis", None, 5)
        service.ask("/nowhere")
    log = (tmp_path / "log").read_text()
    assert "check status changed" in log
    assert "/nowhere" not in log


def test_a_log_that_is_configured_stays_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that embeds the application may have configured it."""
    own = logging.NullHandler()
    monkeypatch.setattr(logging.getLogger("vitals"), "handlers", [own])
    before = list(logging.root.handlers)
    configure_if_unconfigured("info", "json")
    assert logging.root.handlers == before


@pytest.mark.slow
def test_the_format_is_json_unless_stderr_is_a_terminal(valkey: Valkey, tmp_path: Path) -> None:
    """LOG_FORMAT overrides this."""
    environ = on(None, valkey) | {"CHECK_TIMEOUT": "5"}
    with running(environ | {"LOG_FORMAT": "console"}, tmp_path / "log") as service:
        service.until("redis", None, 5)
    assert "check status changed check=redis from=unknown to=pass" in (tmp_path / "log").read_text()
    assert b"check status changed check=redis from=unknown to=pass" in seen_on_a_terminal(environ)


def seen_on_a_terminal(environ: dict[str, str]) -> bytes:
    """Return what a service writes to a terminal until its check passes."""
    master, slave = os.openpty()
    environ = clean(os.environ) | environ | {"PORT": str(free_port())}
    with subprocess.Popen(SERVE, env=environ, stderr=slave) as service:
        os.close(slave)
        seen = b""
        while b" to=pass" not in seen:
            seen += os.read(master, 1024)
        service.terminate()
    os.close(master)
    return seen


def test_a_standard_error_without_a_descriptor_gets_the_log_too() -> None:
    """A program that embeds the application may have replaced sys.stderr."""
    program = (
        "import io, logging, sys; from app.logs import configure; sys.stderr = io.StringIO()\n"
        "configure('info', None); logging.getLogger('vitals').info('on')\n"
        "sys.stdout.write(sys.stderr.getvalue())"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stderr, json.loads(done.stdout)["event"]) == ("", "on")
