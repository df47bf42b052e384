"""`vitals serve` on each kind of HOST, with what asks it there: `vitals check` and the image."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.repository.test_dockerfile import own_check
from tests.support.devservers import Valkey
from tests.support.ports import free_port
from tests.support.service import SERVE, Service, clean, on
from tests.support.service import start as start_service
from tests.unit.cli.conftest import Call, end, start


WITHOUT_IPV6 = (sys.executable, "-m", "tests.support.without_ipv6")

# In a network of its own, whose kernel has IPv6 and uses none: it has no address and no route.
UNUSED_IPV6 = (
    *("unshare", "--net", "sh", "-c"),
    'sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip link set lo up; exec "$@"',
    "sh",
)


def link_local() -> list[str]:
    """Return an address that needs the name of its interface, as far as there is one here."""
    found = psutil.net_if_addrs().items()
    return [one.address for _, each in found for one in each if one.address[:5] == "fe80:"][:1]


@contextlib.contextmanager
def serving(
    environ: Mapping[str, str], log: Path, *, before: tuple[str, ...] = ()
) -> Iterator[Service]:
    """Run the service until the block ends; its check passes when the block begins."""
    service = start_service(environ, log, (*before, *SERVE), free_port())
    try:
        deadline = time.monotonic() + 15
        while '"to": "pass"' not in log.read_text():
            assert service.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        yield service
    finally:
        service.process.terminate()
        service.process.wait(10)


def inside(service: Service) -> tuple[str, ...]:
    """Return what has a command run in the network of a service that has its own."""
    return ("nsenter", "--target", str(service.process.pid), "--net")


def healthy(service: Service, host: str, before: tuple[str, ...] = ()) -> int:
    """Return the exit code of the image's own check."""
    environ = {**clean(os.environ), "HOST": host, "PORT": str(service.port)}
    command = (*before, "sh", "-c", own_check())
    return subprocess.run(command, env=environ, capture_output=True, check=False).returncode


@pytest.mark.slow
@pytest.mark.parametrize(
    "host",
    ["", "127.0.0.1", "0.0.0.0", "localhost", "::", "::1", "0::0", *link_local()],  # noqa: S104
)
def test_health_checks_connect_to_host(valkey: Valkey, tmp_path: Path, host: str) -> None:
    """`vitals check` and the health check of the image. Both fail if nothing listens."""
    with serving({**on(valkey=valkey), "HOST": host}, tmp_path / "log") as service:
        checked = end(start("check", HOST=host, PORT=str(service.port)))
        assert checked == (0, "ready: pass\n", "")
        assert healthy(service, host) == 0
    assert healthy(service, host) == 7
    assert end(start("check", HOST=host, PORT=str(service.port))).code == 1


@pytest.mark.slow
def test_one_socket_listens_on_ipv6_and_ipv4(valkey: Valkey, tmp_path: Path) -> None:
    """It accepts connections to both."""
    with serving({**on(valkey=valkey), "HOST": "::"}, tmp_path / "log") as service:
        found = psutil.Process(service.process.pid).net_connections("inet")
        listening = [one for one in found if one.status == psutil.CONN_LISTEN]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, service.port), 5).close()
    assert [one.laddr.ip for one in listening] == ["::"]


@pytest.mark.slow
def test_a_kernel_without_ipv6_serves_on_ipv4(valkey: Valkey, tmp_path: Path) -> None:
    """It logs one line."""
    log = tmp_path / "log"
    with serving({**on(valkey=valkey), "HOST": "::"}, log, before=WITHOUT_IPV6) as service:
        result = end(start("check", before=WITHOUT_IPV6, HOST="::", PORT=str(service.port)))
        assert result == (0, "ready: pass\n", "")
        assert healthy(service, "::") == 0
    assert log.read_text().count("IPv6 unavailable") == 1


@pytest.mark.slow
def test_a_network_without_ipv6_serves_on_ipv4(tmp_path: Path) -> None:
    """The kernel has IPv6 and no interface uses it, as in most containers."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("only root can make a network, with unshare of Linux")
    log, server = tmp_path / "log", tmp_path / "server.py"
    server.write_text("import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8001)\n")
    environ = {
        **on(),
        "HOST": "::",
        "HTTP_CHECKS": '{"it": {"url": "http://127.0.0.1:8001/"}}',
    }
    script = f'{sys.executable} "{server}" 2>/dev/null & exec "$@"'
    before = (*UNUSED_IPV6, "sh", "-c", script, "sh")
    with serving(environ, log, before=before) as service:
        within = inside(service)
        result = end(start("check", before=within, HOST="::", PORT=str(service.port)))
        assert result == (0, "ready: pass\n", "")
        assert healthy(service, "::", within) == 0
        children = psutil.Process(service.process.pid).children()
    for child in children:
        child.terminate()


REFUSED = [
    ("[::1]", "HOST: must be a name, or an IP address without brackets and port"),
    ("127.0.0.1:8000", "HOST: must be a name, or an IP address without brackets and port"),
    ("127.0.0.1\r", "HOST: contains a carriage return"),
    # As conda sets it.
    ("x86_64-conda-linux-gnu", "HOST: can't listen on this address ("),
    ("203.0.113.9", "HOST: can't listen on this address (Cannot assign requested address)"),
    ("2001:db8::1", "HOST: can't listen on this address (Cannot assign requested address)"),
    ("fe80::1%nowhere", "HOST: can't listen on this address ("),
    ("nonsense..x", "HOST: not a valid host name"),
]


@pytest.mark.parametrize(("host", "line"), REFUSED, ids=[host for host, _ in REFUSED])
def test_doctor_and_serve_report_a_host_in_the_same_line(call: Call, host: str, line: str) -> None:
    """With the exit codes 1 and 78."""
    environ = {"HOST": host, "PORT": str(free_port())}
    environ |= {"REDIS_URL": "redis://127.0.0.1:1", "REDIS_AUTH": "none"}
    served, examined = call("serve", **environ), call("doctor", **environ)
    assert (served.code, served.err.count("\n"), examined.code) == (78, 1, 1)
    refusal = served.err.removeprefix("vitals: ").strip()
    assert refusal.startswith(line)
    assert f"! {refusal}" in " ".join(examined.out.split())


@pytest.mark.slow
def test_doctor_accepts_a_port_in_use(valkey: Valkey, tmp_path: Path) -> None:
    """The running service uses it, and continues."""
    environ: dict[str, Any] = {**on(valkey=valkey), "HOST": "::"}
    with serving(environ, tmp_path / "log") as service:
        result = end(start("doctor", **environ, PORT=str(service.port)))
        assert (result.code, result.err) == (0, "")
        assert service.ask("/health").code == 200


def test_doctor_and_serve_report_a_privileged_port() -> None:
    """To users other than root, and to root in a container without the capability."""
    if not (setpriv := shutil.which("setpriv")) and not os.geteuid():
        pytest.skip("root can't be made to obey here")
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 80:
        pytest.skip("there is no such port here")
    before = () if os.geteuid() else (str(setpriv), "--bounding-set", "-net_bind_service")
    environ: dict[str, Any] = {
        "PORT": "80",
        "REDIS_URL": "redis://127.0.0.1:1",
        "REDIS_AUTH": "none",
    }
    results = [end(start(word, before=before, **environ)) for word in ("serve", "doctor")]
    line = "PORT: port 80 needs a privilege. Set PORT to a port above 1023."
    assert results[0] == (78, "", f"vitals: {line}\n")
    assert results[1].code == 1
    assert line in results[1].out
