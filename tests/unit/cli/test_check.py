import itertools
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from trustme import CA

from tests.support.devservers import Valkey
from tests.support.faults.nameserver import Manner, command, name_server, unavailable
from tests.support.ports import free_port
from tests.support.service import Service, on, running
from tests.unit.cli.conftest import Call, end, start
from tests.unit.cli.scripted_server import answer, scripted_server


# The line shows the deadline of 4.5 s. Less than twice as long passes until a process has ended,
# with the start of Python, which takes seconds on a busy machine.
ENDLESS = 9


@pytest.fixture(name="service", scope="module")
def _service(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run the service with a Redis, and without a PostgreSQL."""
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
        (["minio"], 1, "minio: http://127.0.0.1:{} has no such check, or does not show it."),
    ],
)
def test_check_prints_the_status_and_the_reasons(
    service: Service, call: Call, arguments: list[str], code: int, line: str
) -> None:
    """The exit code follows the name that is given."""
    result = call("check", *arguments, PORT=str(service.port))
    assert result == (code, f"{line.format(service.port)}\n", "")


@pytest.mark.parametrize("host", ["", "127.0.0.1", "localhost", "0.0.0.0"])  # noqa: S104  # as HOST
def test_check_connects_to_host_and_port(service: Service, call: Call, host: str) -> None:
    """If HOST is every address, it connects to this machine."""
    result = call("check", "live", HOST=host, PORT=str(service.port))
    assert result == (0, "live: pass\n", "")


def test_the_port_may_have_spaces_around_it(service: Service, call: Call) -> None:
    """As an environment file may have them, and as `vitals serve` accepts it."""
    assert call("check", "live", PORT=f" {service.port} ").out == "live: pass\n"


def test_an_ipv6_host_is_put_in_brackets(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a URL needs."""
    monkeypatch.setenv("HOST", "::1")
    monkeypatch.setenv("PORT", "1")
    assert call("check").out.startswith("ready: no answer from http://[::1]:1: ")


def test_url_overrides_host_and_port(service: Service, call: Call) -> None:
    """A trailing slash is allowed, and proxies of the environment are ignored."""
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
def test_the_answer_is_printed_as_one_line(
    call: Call, name: str, code: int, body: object, line: str
) -> None:
    """Text of another server can neither add a line nor control the terminal."""
    with scripted_server([answer(code, body)]) as port:
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
def test_an_unexpected_answer_fails(call: Call, code: int, body: object) -> None:
    """Another server may listen there and answer 200 to everything."""
    with scripted_server([answer(code, body)]) as port:
        result = call("check", "--port", str(port))
    line = f"ready: http://127.0.0.1:{port} answered {code}, but not as Vitals does.\n"
    assert result == (1, line, "")


def test_a_redirect_is_not_followed(call: Call, service: Service) -> None:
    """Vitals never redirects."""
    there = f"Location: http://127.0.0.1:{service.port}/health/live"
    with scripted_server([answer(302, "", there)]) as port:
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
def test_an_answer_that_is_not_http_fails(call: Call, words: bytes, cause: str) -> None:
    """The cause is printed as one line."""
    with scripted_server([words]) as port:
        result = call("check", "--port", str(port))
    assert result.code == 1
    assert result.out.startswith(f"ready: no answer from http://127.0.0.1:{port}: ")
    assert cause in result.out
    assert result.out.count("\n") == 1


def test_a_refused_connection_is_reported(call: Call) -> None:
    """With the URL."""
    port = free_port()
    line = f"ready: no answer from http://127.0.0.1:{port}: connection refused.\n"
    assert call("check", "--port", str(port)) == (1, line, "")


def test_check_reads_at_most_one_megabyte(call: Call) -> None:
    """No answer of Vitals is longer."""
    begun = time.monotonic()
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with scripted_server(itertools.chain([head], itertools.repeat(b" " * 65536))) as port:
        result = call("check", "--port", str(port))
    assert result.code == 1
    assert "answered 200, but not as Vitals does" in result.out
    assert time.monotonic() - begun < 2


@pytest.mark.alone
def test_check_ends_within_five_seconds() -> None:
    """Even if a server sends nothing, or one byte at a time forever."""
    slowly = itertools.chain([b"HTTP/1.1 200 OK\r\nx: "], itertools.repeat(b"y"))
    body = itertools.chain([b"HTTP/1.1 200 OK\r\n\r\n"], itertools.repeat(b" "))
    more = itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")
    with (
        scripted_server() as silent,
        scripted_server(slowly, 0.02) as slow,
        scripted_server(body, 0.02) as endless,
        scripted_server(more, 0.02) as continuing,
    ):
        ports = (silent, slow, endless, continuing)
        begun = time.monotonic()
        processes = [start("check", PORT=str(port)) for port in ports]
        results = [end(process) for process in processes]
        seconds = time.monotonic() - begun
    lines = [f"ready: no answer from http://127.0.0.1:{port}: not within 4.5 s" for port in ports]
    assert [(result.code, result.out[:-8]) for result in results] == [(1, line) for line in lines]
    assert {result.err for result in results} == {""}
    assert seconds < ENDLESS


@pytest.mark.alone
def test_check_ends_in_time_if_the_name_server_is_silent() -> None:
    """The C library would wait for twenty seconds."""
    if why := unavailable():
        pytest.skip(why)
    with name_server({}) as names:
        names.manner = Manner.SILENT
        begun = time.monotonic()
        before = tuple(command((), names.host))
        result = end(start("check", "--url", "http://vitals.test:8000", before=before))
    line = "ready: no answer from http://vitals.test:8000: not within 4.5 seconds.\n"
    assert result == (1, line, "")
    assert time.monotonic() - begun < ENDLESS


def test_the_certificate_is_verified(tmp_path: Path) -> None:
    """It must be trusted by the system and be valid for the host."""
    authority, served = CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.cert_pem.write_to_path(tmp_path / "root.pem")
    authority.issue_cert("localhost").configure_cert(served)
    root = str(tmp_path / "root.pem")
    with scripted_server([answer(200, {"status": "pass"})], certificate=served) as port:
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
def test_an_invalid_url_is_rejected_and_not_repeated(call: Call, url: str) -> None:
    """Exit code 2. The URL may contain a password."""
    message = "--url, or HOST and PORT, must make http://HOST:PORT or https://HOST:PORT."
    line = f"vitals: Invalid value: {message} See vitals check --help.\n"
    assert call("check", "--url", url) == (2, "", line)


@pytest.mark.parametrize("name", ["", "..", "a/b", "Ready", "x?y", "x y", "x\r\ny"])
def test_an_invalid_check_name_is_rejected(call: Call, name: str) -> None:
    """It would change the path of the request."""
    result = call("check", name, "--port", "1")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "can't be the name of a check." in result.err
