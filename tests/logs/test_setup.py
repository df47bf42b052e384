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

from app.api.routes import is_probe
from app.devservers import Valkey
from app.logs import configure_if_unconfigured
from app.logs.formats import MAX_LINE, ConsoleFormatter, JsonFormatter
from app.logs.setup import RepetitionFilter, SuccessfulProbeFilter
from tests.faults.fault import Refuse
from tests.faults.proxy import proxy_in_thread
from tests.ports import free_port
from tests.service import ROOT, SERVE, UVICORN, clean, on, running


TIMES = 30


def record(**fields: Any) -> logging.LogRecord:
    """A record of the turn of a check."""
    made = logging.makeLogRecord(
        {"name": "vitals", "levelname": "WARNING", "msg": "check %s", "args": ("turned",)}
    )
    made.created = 1_763_892_000.25
    vars(made).update(fields)
    return made


def test_json_holds_the_event_and_its_fields() -> None:
    """One object a line, in a fixed order, whatever a field is."""
    line = JsonFormatter().format(record(check="redis", lasted_s=1.5, cause="two\nlines", odd={1}))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2025-11-23T10:00:00.250Z",
        "level": "warning",
        "logger": "vitals",
        "event": "check turned",
        "check": "redis",
        "lasted_s": 1.5,
        "cause": "two\nlines",
        "odd": "{1}",
    }


def test_the_console_has_one_line_for_people() -> None:
    """Without what is empty; a text can't begin a line of its own, or steer the terminal."""
    line = ConsoleFormatter().format(record(check="redis", reason=None, cause="two\n\x1b[2Jlines"))
    assert line == "10:00:00.250 warning  check turned check=redis cause=two\\n\\x1b[2Jlines"


def test_an_exceptions_text_begins_no_line_and_steers_no_terminal() -> None:
    """What a server has said may stand in it."""
    error = LookupError("no\n10:00:00.250 warning  all is \x1b[32mwell")
    first, *told = (
        ConsoleFormatter().format(record(exc_info=(type(error), error, None))).split("\n")
    )
    assert first == "10:00:00.250 warning  check turned"
    assert told == ["  LookupError: no", "  10:00:00.250 warning  all is \\x1b[32mwell"]


def group() -> ExceptionGroup[Exception]:
    """Return a group of exceptions with texts of a megabyte, each in a chain of a thousand."""
    errors = list[Exception]()
    for number in range(100):
        error = ValueError(number)
        for _ in range(1000):
            error, earlier = ValueError(HUGE), error
            error.__cause__ = earlier
        errors.append(error)
    return ExceptionGroup(HUGE, errors)


def deep(calls: int) -> None:
    """Raise an error with a long text below so many calls."""
    if calls:
        deep(calls - 1)
    raise ValueError(HUGE)


def raised(error: Callable[[], None]) -> BaseException:
    """Return what a call raises."""
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
    """Return the field of a record that holds an exception."""
    error.add_note(HUGE)
    return {"exc_info": (type(error), error, error.__traceback__)}


@pytest.mark.parametrize("long", LONG)
def test_a_line_has_a_bounded_length(long: str) -> None:
    """Whichever part of a record is long: the line is JSON, names its event and shows the cut."""
    fields = LONG[long]()
    line = JsonFormatter().format(record(**fields))
    assert len(line) <= MAX_LINE
    told = json.loads(line)
    assert "\u2026" in line.encode().decode("unicode_escape") or "cut" in told
    assert told["event"].startswith(HUGE[:9] if long in {"event", "argument"} else "check turned")
    assert len(ConsoleFormatter().format(record(**fields)).encode(errors="replace")) <= 4 * MAX_LINE


def test_an_exception_keeps_its_latest_calls_and_its_cause() -> None:
    """Cut or not: where it was raised, what it says, its notes and what it came from."""
    error = raised(partial(deep, 900))
    error.add_note("a note")
    error.__cause__ = KeyError("the cause")
    line = JsonFormatter().format(record(exc_info=(type(error), error, error.__traceback__)))
    cause, _, told = json.loads(line)["error"].partition("\n\n")
    assert cause == "KeyError: 'the cause'"
    assert told.startswith("Traceback (most recent call last):\n")
    assert "raise ValueError(HUGE)" in told
    assert told.splitlines()[-2].startswith(f"ValueError: {HUGE[:9]}")
    assert told.endswith("\na note")


@pytest.mark.parametrize("formatter", [JsonFormatter, ConsoleFormatter])
def test_an_exception_is_told_with_its_traceback(formatter: type[logging.Formatter]) -> None:
    """What nobody expected is told in full."""
    error = ZeroDivisionError("whoever expected that")
    line = formatter().format(record(exc_info=(type(error), error, None)))
    assert "ZeroDivisionError: whoever expected that" in line


@pytest.mark.parametrize(
    ("path", "status", "told"),
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
def test_successful_probes_are_left_out_and_nothing_else(
    path: str, status: int, *, told: bool
) -> None:
    """Whatever a probe asks for, and whatever another request is named like."""
    line = logging.makeLogRecord({"args": ("10.0.0.7:1234", "GET", path, "1.1", status)})
    assert SuccessfulProbeFilter(is_probe).filter(line) is told


def test_a_warning_of_the_server_is_told_once_a_minute() -> None:
    """And then with how many were left out; each by itself, and also if the clock is set back."""
    repetitions = RepetitionFilter()

    def told(at: float, text: str, level: int = logging.WARNING) -> int | None:
        """Tell how many a line says were left out; none where there is no line."""
        made = logging.makeLogRecord({"msg": text, "levelno": level, "created": at})
        return vars(made).get("left_out", 0) if repetitions.filter(made) else None

    assert [told(at, "no request") for at in (100, 100, 159.9)] == [0, None, None]
    assert told(130, "no upgrade") == 0
    assert [told(at, "no request") for at in (160, 161, 220, 280)] == [2, None, 1, 0]
    assert [told(at, "no request") for at in (-3600, -3600)] == [0, None]
    assert [told(at, "an error", logging.ERROR) for at in (100, 100)] == [0, 0]


def lines_of(log: Path) -> list[dict[str, Any]]:
    """Every line of a service's log."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_check_that_turns_is_one_line(valkey: Valkey, tmp_path: Path) -> None:
    """Broken and mended thirty times is sixty lines, which name the cause alone."""
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
    turned = [line for line in lines_of(tmp_path / "log") if line["event"] == "check turned"]
    assert [line["to"] for line in turned] == ["pass"] + ["fail", "pass"] * TIMES
    failed = turned[1]
    assert failed.keys() >= {"time", "check", "from", "to", "reason", "cause", "lasted_s"}
    assert (failed["check"], failed["reason"], failed["level"]) == ("redis", "refused", "warning")
    assert "[Errno 111] Connect call failed ('127.0.0.1'" in failed["cause"]
    assert valkey.password_file.read_text() not in (tmp_path / "log").read_text()


def test_stock_uvicorn_logs_as_serve_does(valkey: Valkey, tmp_path: Path) -> None:
    """From when the settings are read: each turn with its fields, a repair too, in JSON."""
    environ = on(None, valkey) | {"CHECK_TIMEOUT": "5"}
    with running(environ, tmp_path / "log", UVICORN) as service:
        service.until("redis", None, 5)
        service.ask("/nowhere")
    told = [
        json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line[0] == "{"
    ]
    turned = next(line for line in told if line["event"] == "check turned")
    assert (turned["check"], turned["to"]) == ("redis", "pass")
    assert {"vitals", "uvicorn.error", "uvicorn.access"} == {line["logger"] for line in told}


def test_an_access_log_that_was_declined_stays_away(valkey: Valkey, tmp_path: Path) -> None:
    """`--no-access-log` is heeded; nor is a line made of each request that nobody gets to see."""
    command = (*UVICORN[:-1], "--no-access-log", "--port")
    with running(on(None, valkey), tmp_path / "log", command) as service:
        service.until("redis", None, 5)
        service.ask("/nowhere")
    log = (tmp_path / "log").read_text()
    assert "check turned" in log
    assert "/nowhere" not in log


def test_a_log_that_is_set_up_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the application may have one of their own."""
    own = logging.NullHandler()
    monkeypatch.setattr(logging.getLogger("vitals"), "handlers", [own])
    before = list(logging.root.handlers)
    configure_if_unconfigured("info", "json")
    assert logging.root.handlers == before


def test_the_format_is_json_unless_somebody_looks(valkey: Valkey, tmp_path: Path) -> None:
    """Console lines are for terminals; LOG_FORMAT decides where it is set."""
    environ = on(None, valkey) | {"CHECK_TIMEOUT": "5"}
    with running(environ | {"LOG_FORMAT": "console"}, tmp_path / "log") as service:
        service.until("redis", None, 5)
    assert "check turned check=redis from=unknown to=pass" in (tmp_path / "log").read_text()
    assert b"check turned check=redis from=unknown to=pass" in seen_on_a_terminal(environ)


def seen_on_a_terminal(environ: dict[str, str]) -> bytes:
    """What a service writes to a terminal until its check has turned."""
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


def test_a_standard_error_that_is_no_file_gets_the_log_too() -> None:
    """As an environment that embeds the application may have replaced it."""
    program = (
        "import io, logging, sys; from app.logs import configure; sys.stderr = io.StringIO()\n"
        "configure('info', None); logging.getLogger('vitals').info('on')\n"
        "sys.stdout.write(sys.stderr.getvalue())"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stderr, json.loads(done.stdout)["event"]) == ("", "on")
