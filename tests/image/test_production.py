"""Production in a fresh clone: it is healthy, unprivileged, and exposes no secrets."""

import json
import re
import stat

import psutil
import pytest

from app import __version__
from tests.image.stack import Stack, run, until


SERVICES = ["backend", "postgres", "redis"]


def test_it_is_healthy_and_answers(production: Stack) -> None:
    """After the commands of the README only."""
    assert [production.health(service) for service in SERVICES] == ["healthy"] * 3
    code, body = production.ask("/health")
    assert (code, body["status"], set(body["checks"])) == (200, "pass", {"postgres", "redis"})


def test_every_place_states_the_version_of_the_package(production: Stack) -> None:
    """The image, its label, the command, the metrics, the page and the API."""
    inspected = production.inspect("backend")["Config"]
    assert inspected["Image"] == f"{production.project}:{__version__}"
    assert inspected["Labels"]["org.opencontainers.image.version"] == __version__
    assert production.exec("backend", "vitals", "--version") == f"vitals {__version__}\n"
    url = f"http://127.0.0.1:{production.port}"
    metrics = run("curl", "-fsS", "--noproxy", "*", f"{url}/metrics")
    assert re.search(rf'health_build_info{{.*version="{re.escape(__version__)}"', metrics)
    page = run("curl", "-fsS", "--noproxy", "*", f"{url}/health?format=html")
    assert f">{__version__}<" in page
    assert production.ask("/openapi.json")[1]["info"]["version"] == __version__


def test_its_secrets_belong_to_the_user_and_no_one_else_can_reach_them(production: Stack) -> None:
    folder = production.folder / "secrets"
    files = sorted(folder.glob("*.txt"))
    assert len(files) == 6
    assert {file.stat().st_uid for file in (folder, *files)} == {folder.parent.stat().st_uid}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o444}


def test_curl_passes_on_the_published_port(production: Stack) -> None:
    url = f"http://127.0.0.1:{production.port}/health"
    assert json.loads(run("curl", "-fsS", "--noproxy", "*", url))["status"] == "pass"


def test_only_the_backend_is_published_on_the_loopback_address_only(production: Stack) -> None:
    """According to the engine and to the sockets of this machine."""
    published = [
        (binding["HostIp"], binding["HostPort"])
        for service in SERVICES
        for bindings in production.inspect(service)["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    ]
    assert published == [("127.0.0.1", str(production.port))]
    listening = [
        address[0]
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
        and (address := connection.laddr)
        and address[1] == production.port
    ]
    assert listening == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("service", "uid"), [("backend", 10001), ("postgres", 999), ("redis", 999)]
)
def test_services_run_unprivileged_on_a_read_only_root(
    production: Stack, service: str, uid: int
) -> None:
    """As a normal user, without capabilities, and with no_new_privs set."""
    status = production.exec(service, "cat", "/proc/1/status")
    assert re.findall(r"^[UG]id:\t(.*)$", status, re.MULTILINE) == ["\t".join([str(uid)] * 4)] * 2
    assert set(re.findall(r"^Cap\w+:\t(\w+)$", status, re.MULTILINE)) == {"0" * 16}
    assert re.findall(r"^NoNewPrivs:\t(.)$", status, re.MULTILINE) == ["1"]
    mounts = production.exec(service, "cat", "/proc/1/mounts").splitlines()
    assert [mount.split()[3][:2] for mount in mounts if mount.split()[1] == "/"] == ["ro"]


def test_the_stores_are_on_an_internal_network_only(production: Stack) -> None:
    for service in ("postgres", "redis"):
        (network,) = production.inspect(service)["NetworkSettings"]["Networks"]
        assert json.loads(run("docker", "network", "inspect", network))[0]["Internal"]


def test_each_service_has_only_the_secrets_that_it_reads(production: Stack) -> None:
    found = {
        service: production.exec(service, "ls", "/run/secrets").split() for service in SERVICES
    }
    assert found == {
        "backend": ["jwt_secret", "postgres_password", "redis_password", "stack_auth_secret"],
        "postgres": ["postgres_password"],
        "redis": ["redis_password"],
    }


def test_no_secret_is_in_the_engines_output_the_logs_or_process_arguments(
    production: Stack,
) -> None:
    secrets = {path.name: path.read_text() for path in production.folder.glob("secrets/*.txt")}
    outputs = [run("docker", "inspect", *production.containers)]
    outputs += [run("docker", "history", "--no-trunc", production.image)]
    outputs += [run("docker", "image", "inspect", production.image)]
    outputs += [production.compose("--profile", "*", "config")]
    outputs += [production.compose("logs", "--no-color")]
    outputs += [
        run("docker", "top", container, "-eo", "pid,args") for container in production.containers
    ]
    assert len(secrets) == 6
    assert [(name, secret) for name, secret in secrets.items() if secret in "".join(outputs)] == []


@pytest.mark.parametrize("service", ["backend", "redis"])
def test_no_secret_is_in_the_environment_of_a_process(production: Stack, service: str) -> None:
    # The process of a health check may exit meanwhile. All existing ones must be readable.
    read = 'for one in /proc/[0-9]*/environ; do cat "$one" 2>&1 || [ ! -e "$one" ] || exit 1; done'
    environment = production.exec(service, "sh", "-c", read)
    assert "PATH=" in environment
    secrets = [path.read_text() for path in production.folder.glob("secrets/*.txt")]
    assert not [secret for secret in secrets if secret in environment]


def test_maintenance_changes_readiness_and_survives_a_restart(production: Stack) -> None:
    """The file is on a volume, beside a read-only root. A new container finds it too."""
    production.exec("backend", "vitals", "maintenance", "on")
    production.compose("up", "--detach", "--force-recreate", "--no-deps", "backend")
    until(production.phase, "maintenance", within=20)
    production.exec("backend", "vitals", "maintenance", "off")
    until(lambda: production.ask("/health/ready")[0], 200, within=5)
