"""The merged configuration of both compose files."""

import json
import re
from typing import Any

import pytest
import yaml

from app import __version__
from tests.image.stack import DEVELOPMENT, PRODUCTION, Stack, run
from tests.support.pages import PAGES
from tests.support.service import ROOT


SECRETS = (
    "jwt_secret minio_password minio_user notify_url postgres_password redis_password "
    "stack_auth_secret"
)
MB = 1024**2
STORES = ["minio", "postgres", "redis"]
MONITORING = ["alertmanager", "grafana", "prometheus"]


def model(files: str, *profiles: str, **settings: str) -> Any:
    """Return the merged compose files, with the variables of .env.

    The profiles are options of `docker compose`; without any, all are active.
    """
    command = ("docker", "compose", *(profiles or ("--profile", "*")), "config", "--format", "json")
    stack = Stack(ROOT, files, "vitals", 8000)
    environ = {name: value for name, value in stack.environ.items() if name != "VITALS_IMAGE"}
    environ.pop("COMPOSE_PROJECT_NAME")
    environ.update(settings)
    return json.loads(run(*command, "--no-path-resolution", cwd=ROOT, env=environ))


@pytest.fixture(name="production", scope="module")
def _production() -> Any:
    return model(PRODUCTION)


@pytest.fixture(name="services", scope="module")
def _services(production: Any) -> Any:
    return production["services"]


def test_production_has_only_these_services(production: Any) -> None:
    """No admin consoles under any profile, and a project name other than development's."""
    assert sorted(production["services"]) == sorted(["backend", "caddy", *MONITORING, *STORES])
    assert production["name"] != model(DEVELOPMENT)["name"]


@pytest.mark.parametrize(
    ("service", "limits", "reservations"),
    [
        ("backend", (1, 1024), (0.25, 256)),
        ("postgres", (2, 2048), (0.5, 512)),
        ("redis", (0.5, 256), (0.1, 128)),
        ("minio", (1, 512), (0.25, 256)),
        ("prometheus", (0.5, 512), (0.1, 128)),
        ("alertmanager", (0.25, 128), (0.1, 32)),
        ("grafana", (0.5, 512), (0.1, 128)),
        ("caddy", (0.5, 256), (0.1, 64)),
    ],
)
def test_each_service_has_limits_and_reservations(
    services: Any, service: str, limits: tuple[float, int], reservations: tuple[float, int]
) -> None:
    """In CPUs and megabytes."""
    resources = services[service]["deploy"]["resources"]
    for values, (cpus, megabytes) in (
        (resources["limits"], limits),
        (resources["reservations"], reservations),
    ):
        assert (values["cpus"], int(values["memory"])) == (cpus, megabytes * MB)
    assert resources["limits"]["pids"] > 0


def test_only_caddy_is_published_on_every_address_in_production(services: Any) -> None:
    """The backend and the monitoring services are published on the loopback address."""
    (port,) = services["backend"]["ports"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "8000", 8000)
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(ports) == {"backend", "caddy", *MONITORING}
    assert [port["host_ip"] for name in MONITORING for port in ports[name]] == ["127.0.0.1"] * 3
    assert services["caddy"]["profiles"] == ["edge"]
    published = [
        (port.get("host_ip"), port["published"], port["target"], port["protocol"])
        for port in services["caddy"]["ports"]
    ]
    assert published == [
        (None, "80", 80, "tcp"),
        (None, "443", 443, "tcp"),
        (None, "443", 443, "udp"),
    ]


def test_caddy_reaches_the_backend_only(services: Any) -> None:
    """It uses the file of deploy/caddy, and has a volume for its certificates."""
    caddy = services["caddy"]
    assert sorted(caddy["networks"]) == ["edge"]
    assert caddy["environment"] == {"DOMAIN": "localhost", "UPSTREAMS": "backend:8000"}
    assert "secrets" not in caddy
    mounts = [(mount["source"], mount["target"]) for mount in caddy["volumes"]]
    assert mounts == [
        ("./deploy/caddy/Caddyfile", "/etc/caddy/Caddyfile"),
        ("caddy-data", "/data"),
        ("caddy-config", "/config"),
    ]
    assert caddy["volumes"][0]["read_only"]


def test_development_publishes_on_the_loopback_address_only() -> None:
    """Under every profile."""
    ports = [
        port["host_ip"]
        for service in model(DEVELOPMENT)["services"].values()
        for port in service.get("ports", ())
    ]
    assert ports == ["127.0.0.1"] * 8


def test_the_stores_are_on_an_internal_network_only(production: Any) -> None:
    services = production["services"].items()
    networks = {name: sorted(service["networks"]) for name, service in services}
    assert networks.pop("backend") == ["edge", "stores"]
    assert [networks.pop(name) for name in MONITORING] == [["edge"]] * 3
    assert networks.pop("caddy") == ["edge"]
    assert list(networks.values()) == [["stores"]] * 3
    assert production["networks"]["stores"]["internal"]
    assert not production["networks"]["edge"].get("internal")


def test_each_store_has_a_volume_and_the_backend_one_for_maintenance(services: Any) -> None:
    """The checkout is not mounted."""
    volumes = {
        name: [
            (volume["type"], volume["source"], volume["target"]) for volume in service["volumes"]
        ]
        for name, service in services.items()
        if service.get("volumes") and name not in {"caddy", *MONITORING}
    }
    assert volumes == {
        "backend": [("volume", "maintenance", "/var/lib/vitals")],
        "postgres": [("volume", "postgres-data", "/var/lib/postgresql/data")],
        "redis": [("volume", "redis-data", "/data")],
        "minio": [("volume", "minio-data", "/data")],
    }


def test_secrets_are_files_and_each_service_has_its_own(production: Any) -> None:
    """None is a file of development, and none is in the environment."""
    files = {name: secret["file"] for name, secret in production["secrets"].items()}
    assert files == {name: f"secrets/{name}.txt" for name in SECRETS.split()}
    given = {
        name: sorted(secret["source"] for secret in service["secrets"])
        for name, service in production["services"].items()
        if "secrets" in service
    }
    assert given == {
        "backend": ["jwt_secret", "postgres_password", "redis_password", "stack_auth_secret"],
        "postgres": ["postgres_password"],
        "redis": ["redis_password"],
        "minio": ["minio_password", "minio_user"],
        "alertmanager": ["notify_url"],
    }
    assert production["services"]["postgres"]["environment"] == {
        "POSTGRES_DB": "vitals",
        "POSTGRES_USER": "vitals",
        "POSTGRES_PASSWORD_FILE": "/run/secrets/postgres_password",
    }
    assert "configs" not in production


def test_each_secret_has_the_readers_of_its_row_in_the_readme(services: Any) -> None:
    """The rows of optional secrets name who can read them if they exist."""
    rows = re.findall(
        r"^\| (`\w+`.*?) \| (.*?) \| (.*?) \|$", PAGES["secrets/README.md"], re.MULTILINE
    )
    readers = {
        name: set(read_by.split(", "))
        for names, read_by, purpose in rows
        for name in re.findall(r"`(\w+)`", names)
        if not purpose.startswith("optional")
    }
    assert readers.keys() == {*SECRETS.split()} - {"notify_url"}
    for name, expected in readers.items():
        found = {
            service
            for service, options in services.items()
            if name in [secret["source"] for secret in options.get("secrets", ())]
        }
        assert found == expected, name


def test_redis_reads_its_password_from_standard_input(services: Any) -> None:
    """Not from an argument or a variable, which other processes could read."""
    script = services["redis"]["command"][-1]
    _, configuration = script.split("exec docker-entrypoint.sh redis-server - <<END\n")
    assert configuration.endswith('\nrequirepass "$$hex"\nEND\n')
    assert "environment" not in services["redis"]


def test_alertmanager_gets_its_receiver_from_a_secret_only(services: Any) -> None:
    """At the path that its configuration names. The environment has no URL."""
    configuration = yaml.safe_load((ROOT / "deploy/prometheus/alertmanager.yml").read_text())
    (receiver,) = configuration["receivers"]
    assert receiver["slack_configs"][0]["api_url_file"] == "/run/secrets/notify_url"
    assert "environment" not in services["alertmanager"]


def test_minio_does_not_fall_back_to_its_default_account(services: Any) -> None:
    """If a file is empty, MinIO uses the variable, which is too short for it to start."""
    environment = services["minio"]["environment"]
    for name, shortest in (("MINIO_ROOT_USER", 3), ("MINIO_ROOT_PASSWORD", 8)):
        assert 0 < len(environment[name]) < shortest
        assert environment[f"{name}_FILE"].startswith("/run/secrets/minio_")


@pytest.mark.parametrize("service", ["backend", "caddy", *MONITORING, *STORES])
def test_each_service_is_hardened(services: Any, service: str) -> None:
    options = services[service]
    assert options["read_only"]
    assert options["init"]
    assert options["cap_drop"] == ["ALL"]
    assert options.get("cap_add", []) == (["NET_BIND_SERVICE"] if service == "caddy" else [])
    assert options["security_opt"] == ["no-new-privileges:true"]
    assert [mount for mount in options["tmpfs"] if mount.startswith("/tmp:")]  # noqa: S108
    assert options["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert options["deploy"]["restart_policy"] == {"condition": "any", "delay": "5s"}
    check = {name: value for name, value in options["healthcheck"].items() if name != "test"}
    assert check == {
        "interval": "30s",
        "timeout": "10s",
        "retries": 3,
        "start_period": "40s",
        "start_interval": "1s",
    }


def test_each_up_builds_the_image_of_this_checkout(services: Any) -> None:
    """Its tag is the version, so that a rollback finds the image of the version before."""
    backend = services["backend"]
    assert (backend["image"], backend["pull_policy"]) == (f"vitals:{__version__}", "build")
    assert "VERSION" not in backend["build"]["args"]


def test_an_image_that_a_setting_names_is_not_replaced_by_a_build() -> None:
    backend = model(PRODUCTION, VITALS_IMAGE="registry.example.com/vitals:2.0.0")["services"][
        "backend"
    ]
    assert backend["image"] == "registry.example.com/vitals:2.0.0"
    assert "pull_policy" not in backend


def test_the_backend_uses_the_production_image_unchanged(services: Any) -> None:
    """With the user, the command and the health check of the image."""
    backend = services["backend"]
    assert backend["build"]["target"] == "production"
    assert not [name for name in ("user", "command", "entrypoint", "develop") if backend.get(name)]
    assert "test" not in backend["healthcheck"]


def test_the_grace_period_exceeds_drain_and_shutdown(services: Any) -> None:
    """By default they take 5 s and 3 s."""
    assert services["backend"]["stop_grace_period"] == "20s"


def test_the_health_checks_of_the_stores_fail_when_the_stores_do(services: Any) -> None:
    """They use TCP and the password, and MinIO's path that fails if it can't write."""
    tests = {name: services[name]["healthcheck"]["test"] for name in ("postgres", "redis", "minio")}
    assert tests["postgres"][:4] == ["CMD", "pg_isready", "-h", "127.0.0.1"]
    assert tests["redis"][1].startswith("redis-cli ping | grep -q ^NOAUTH && ")
    assert "redis-cli -e ping" in tests["redis"][1]
    assert "REDISCLI_AUTH=" in tests["redis"][1]
    assert tests["minio"][-1].endswith("/minio/health/cluster")


@pytest.mark.parametrize(
    ("files", "condition", "required"),
    [(DEVELOPMENT, "service_started", True), (PRODUCTION, "service_healthy", False)],
)
def test_the_backend_waits_for_healthy_stores_in_production_only(
    files: str, condition: str, *, required: bool
) -> None:
    depends_on = model(files)["services"]["backend"]["depends_on"]
    assert depends_on == {
        name: {"condition": condition, "required": required} for name in ("postgres", "redis")
    }


@pytest.mark.parametrize("profiles", [("--profile", "storage"), ("--profile", "edge")])
def test_a_profile_adds_to_the_stores(profiles: tuple[str, ...]) -> None:
    assert model(PRODUCTION, *profiles)["services"].keys() > {"backend", "postgres", "redis"}


@pytest.mark.parametrize("value", ["", "elsewhere://"])
@pytest.mark.parametrize(
    ("setting", "store"), [("DATABASE_URL", "postgres"), ("REDIS_URL", "redis")]
)
def test_a_store_elsewhere_or_none_starts_no_container(
    setting: str, store: str, value: str
) -> None:
    """The backend checks what the setting says."""
    services = model(PRODUCTION, "--profile", "storage", **{setting: value})["services"]
    assert services.keys() == {"backend", "minio", "postgres", "redis"} - {store}
    assert services["backend"]["environment"][setting] == value


def test_every_service_of_development_has_a_health_check() -> None:
    """The backend has that of its image."""
    services = model(DEVELOPMENT)["services"]
    assert [name for name, service in services.items() if "healthcheck" not in service] == [
        "backend"
    ]
    assert services["pgadmin"]["healthcheck"]["test"][-1].endswith("/misc/ping")
    assert services["redis-commander"]["healthcheck"]["test"][-1].endswith("/healthcheck.js")


def test_every_image_has_a_version_tag() -> None:
    images = [
        service["image"]
        for service in model(DEVELOPMENT)["services"].values()
        if "image" in service
    ]
    assert len(images) == 8
    assert all(":" in image and not image.endswith(":latest") for image in images)


def test_the_monitoring_services_use_the_files_of_deploy(services: Any) -> None:
    """Mounted read-only, and under the profile `monitoring` only."""
    mounted = {
        volume["source"]: volume["target"]
        for name in MONITORING
        for volume in services[name]["volumes"]
        if volume["type"] == "bind" and volume["read_only"]
    }
    assert mounted == {
        "./deploy/prometheus/prometheus.yml": "/etc/prometheus/prometheus.yml",
        "./deploy/prometheus/alerts.yml": "/etc/prometheus/alerts.yml",
        "./deploy/prometheus/alertmanager.yml": "/etc/alertmanager/alertmanager.yml",
        "./deploy/prometheus/dashboard.json": "/etc/grafana/dashboards/vitals.json",
        "./deploy/prometheus/grafana/datasource.yml": (
            "/etc/grafana/provisioning/datasources/vitals.yml"
        ),
        "./deploy/prometheus/grafana/dashboards.yml": (
            "/etc/grafana/provisioning/dashboards/vitals.yml"
        ),
    }
    assert all((ROOT / source).is_file() for source in mounted)
    assert [services[name]["profiles"] for name in MONITORING] == [["monitoring"]] * 3
