import itertools
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from trustme import CA

from app.devservers import Valkey
from tests.cli.conftest import Call, end, start
from tests.cli.speaker import answer, speaker
from tests.faults.nameserver import Manner, command, name_server, unavailable
from tests.ports import free_port
from tests.service import Service, on, running


@pytest.fixture(name="service", scope="module")
def _service(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve with a Redis that is there, and a PostgreSQL that is not."""
    environ = {
        **on(valkey=valkey),
        "DATABASE_URL": f"postgresql://vitals@127.0.0.1:{free_port()}/vitals",
        "POSTGRES_AUTH": "none",
    }
    with running(environ, tmp_path_factory.mktemp("logs") / "log") as service:
        service.until("postgres", "refused", 5)
        service.until("redis", None, 5)
        yield service


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        ([], 1, "ready: fail (postgres refused)"),
        (["ready"], 1, "ready: fail (postgres refused)"),
        (["live"], 0, "live: pass"),
        (["started"], 0, "started: pass"),
        (["redis"], 0, "redis: pass"),
        (["postgres"], 1, "postgres: fail (refused)"),
        (["minio"], 1, "minio: http://127.0.0.1:{} has no such check, or does not show it"),
    ],
)
def test_a_service_is_asked_how_it_is(
    service: Service, arguments: list[str], code: int, line: str
) -> None:
    """What is asked for decides, and the reasons are told."""
    result = end(start("check", *arguments, PORT=str(service.port)))
    assert result == (code, f"{line.format(service.port)}\n", "")


@pytest.mark.parametrize("host", ["", "127.0.0.1", "localhost", "0.0.0.0"])  # noqa: S104  # as HOST
def test_it_is_asked_where_it_listens(service: Service, host: str) -> None:
    """Where that is everywhere, on this machine."""
    result = end(start("check", "live", HOST=host, PORT=str(service.port)))
    assert result == (0, "live: pass\n", "")


def test_ipv6_is_asked_likewise(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the brackets that a URL wants."""
    monkeypatch.setenv("HOST", "::1")
    monkeypatch.setenv("PORT", "1")
    assert call("check").out.startswith("ready: no answer from http://[::1]:1: ")


def test_a_url_says_it_all(service: Service, call: Call) -> None:
    """A trailing slash is none of its matter, nor are proxies of the environment."""
    result = end(
        start(
            *("check", "live", "--url", f"http://127.0.0.1:{service.port}/"),
            PORT="1",
            http_proxy="http://127.0.0.1:1",
            ALL_PROXY="http://127.0.0.1:1",
        )
    )
    assert result == (0, "live: pass\n", "")
    assert call("check", "--url", f"http://127.0.0.1:{service.port}/under").code == 1


@pytest.mark.parametrize(
    ("name", "code", "body", "line"),
    [
        ("ready", 200, {"status": "pass"}, "pass"),
        ("ready", 200, {"status": "pass", "checks": {"x" * 2**19: {"status": "pass"}}}, "pass"),
        ("ready", 503, {"status": "fail"}, "fail"),
        ("ready", 503, {"status": "fail", "phase": "draining"}, "fail (draining)"),
        (
            "ready",
            200,
            {"status": "warn", "phase": "serving", "checks": {"minio": {"status": "unknown"}}},
            "warn (minio unknown)",
        ),
        (
            "ready",
            503,
            {
                "status": "fail",
                "phase": "maintenance",
                "checks": {
                    "postgres": {"status": "fail", "reason": "refused"},
                    "minio": {"status": "pass", "reason": "timeout"},
                    "redis": {"status": "fail", "reason": "timeout"},
                },
            },
            "fail (maintenance, postgres refused, redis timeout)",
        ),
        ("redis", 503, {"status": "unknown"}, "unknown"),
        (
            "redis",
            503,
            {"status": "fail", "reason": "\x1b[2J\nredis: pass\ud800"},
            r"fail (\x1b[2J\nredis: pass\ud800)",
        ),
    ],
)
def test_the_answer_is_told_in_one_line(
    call: Call, name: str, code: int, body: object, line: str
) -> None:
    """A stranger's words neither break it nor steer the terminal."""
    with speaker([answer(code, body)]) as port:
        result = call("check", name, "--port", str(port))
    assert result == (0 if code == 200 else 1, f"{name}: {line}\n", "")


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (200, ""),
        (200, "pass"),
        (200, "OK"),
        (200, "null"),
        (200, "[" * 9000),
        (200, '{"status": "pass"'),
        (200, {"status": "fail"}),
        (200, {"status": "unknown"}),
        (200, {"status": "up"}),
        (200, {"status": ["pass"]}),
        (200, {"state": "pass"}),
        (200, ["pass"]),
        (200, {"status": "pass", "padding": "x" * 2**20}),
        (503, {"status": "pass"}),
        (503, {"status": "warn"}),
        (503, ""),
        (404, "not found"),
        (500, {"status": "pass"}),
        (204, ""),
    ],
)
def test_an_answer_that_makes_no_sense_is_a_failure(call: Call, code: int, body: object) -> None:
    """Something else may listen there, and say 200 to everything."""
    with speaker([answer(code, body)]) as port:
        result = call("check", "--port", str(port))
    line = f"ready: http://127.0.0.1:{port} answered {code}, but not as Vitals does\n"
    assert result == (1, line, "")


def test_a_redirect_is_not_followed(call: Call, service: Service) -> None:
    """Who sends elsewhere is not Vitals."""
    there = f"Location: http://127.0.0.1:{service.port}/health/live"
    with speaker([answer(302, "", there)]) as port:
        result = call("check", "live", "--port", str(port))
    assert result.code == 1
    assert "answered 302" in result.out


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "BadStatusLine: SSH-2.0-OpenSSH_9.2"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200, "got more than 100 headers"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70000, "got more than 65536 bytes"),
    ],
)
def test_what_is_not_http_is_no_answer(call: Call, words: bytes, cause: str) -> None:
    """It is told in one line as well."""
    with speaker([words]) as port:
        result = call("check", "--port", str(port))
    assert result.code == 1
    assert result.out.startswith(f"ready: no answer from http://127.0.0.1:{port}: ")
    assert cause in result.out
    assert result.out.count("\n") == 1


def test_that_nobody_listens_is_told(call: Call) -> None:
    """With where it was looked for."""
    port = free_port()
    line = f"ready: no answer from http://127.0.0.1:{port}: connection refused\n"
    assert call("check", "--port", str(port)) == (1, line, "")


def test_an_endless_body_is_read_no_further_than_needed(call: Call) -> None:
    """A megabyte shows that it is not an answer of Vitals."""
    begun = time.monotonic()
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with speaker(itertools.chain([head], itertools.repeat(b" " * 65536))) as port:
        result = call("check", "--port", str(port))
    assert result.code == 1
    assert "answered 200, but not as Vitals does" in result.out
    assert time.monotonic() - begun < 2


@pytest.mark.alone
def test_nothing_takes_longer_than_five_seconds() -> None:
    """Neither a server that is silent, nor one that goes on and on by the byte."""
    slowly = itertools.chain([b"HTTP/1.1 200 OK\r\nx: "], itertools.repeat(b"y"))
    body = itertools.chain([b"HTTP/1.1 200 OK\r\n\r\n"], itertools.repeat(b" "))
    more = itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")
    with (
        speaker() as silent,
        speaker(slowly, 0.02) as slow,
        speaker(body, 0.02) as endless,
        speaker(more, 0.02) as continuing,
    ):
        ports = (silent, slow, endless, continuing)
        begun = time.monotonic()
        processes = [start("check", PORT=str(port)) for port in ports]
        results = [end(process) for process in processes]
        seconds = time.monotonic() - begun
    lines = [f"ready: no answer from http://127.0.0.1:{port}: not within 4.5 s" for port in ports]
    assert [(result.code, result.out[:-7]) for result in results] == [(1, line) for line in lines]
    assert {result.err for result in results} == {""}
    # Four interpreters start at once, on what CPUs there are.
    assert seconds < 6


@pytest.mark.alone
def test_a_silent_name_server_takes_no_longer() -> None:
    """The C library would wait for it for twenty seconds."""
    if why := unavailable():
        pytest.skip(why)
    with name_server({}) as names:
        names.manner = Manner.SILENT
        begun = time.monotonic()
        before = tuple(command((), names.host))
        result = end(start("check", "--url", "http://vitals.test:8000", before=before))
    line = "ready: no answer from http://vitals.test:8000: not within 4.5 seconds\n"
    assert result == (1, line, "")
    assert time.monotonic() - begun < 5.5


def test_a_certificate_must_be_one_that_the_system_trusts(tmp_path: Path) -> None:
    """And be that of the host that was asked."""
    authority, served = CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.cert_pem.write_to_path(tmp_path / "root.pem")
    authority.issue_cert("localhost").configure_cert(served)
    root = str(tmp_path / "root.pem")
    with speaker([answer(200, {"status": "pass"})], certificate=served) as port:
        good = end(start("check", "--url", f"https://localhost:{port}", SSL_CERT_FILE=root))
        other = end(start("check", "--url", f"https://127.0.0.1:{port}", SSL_CERT_FILE=root))
        unknown = end(start("check", "--url", f"https://localhost:{port}"))
    assert good == (0, "ready: pass\n", "")
    assert (other.code, unknown.code) == (1, 1)
    assert "certificate verify failed: IP address mismatch" in other.out
    assert "certificate verify failed: unable to get local issuer certificate" in unknown.out


@pytest.mark.parametrize(
    "url",
    [
        "vitals",
        "127.0.0.1:8000",
        "ftp://127.0.0.1",
        "unix:///run/vitals",
        "http://",
        "http://:8000",
        "http://127.0.0.1:port",
        "http://127.0.0.1:0",
        "http://127.0.0.1:65536",
        "http://[::1",
        "http://user:CANARY@127.0.0.1",
        "http://127.0.0.1/?x=CANARY",
        "http://127.0.0.1/#CANARY",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\r\nx: y",
        "http://bücher.example",
    ],
)
def test_a_bad_url_is_refused_in_one_line(call: Call, url: str) -> None:
    """Exit code 2; it is not repeated, it may hold a password."""
    told = "--url, or HOST and PORT, must make http://HOST:PORT or https://HOST:PORT"
    line = f"vitals: Invalid value: {told} See vitals check --help.\n"
    assert call("check", "--url", url) == (2, "", line)


@pytest.mark.parametrize("name", ["", "..", "a/b", "Ready", "x?y", "x y", "x\r\ny"])
def test_what_can_be_no_name_is_not_asked_for(call: Call, name: str) -> None:
    """It would ask for something else."""
    result = call("check", name, "--port", "1")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "can't be the name of a check" in result.err
