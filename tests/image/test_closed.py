"""No store starts without authentication, whatever its password file contains."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from app.settings.secrets import Secret
from tests.image.stack import DEVELOPMENT, PRODUCTION, CommandFailedError, Stack, run, stack
from tests.support.service import ROOT


# The longest password that Redis accepts from a client: special characters of quotes, shells and
# redis.conf, spaces at both ends, and a line end as from an editor.
ODD = " a\"b\\c#d'e $f`g%h;{}* \N{EURO SIGN} ".encode().ljust(16383, b"x") + b" \r\n"

CONTENTS = {
    "empty": b"",
    "line break": b"\r\n",
    "two lines": b"first\nsecond\n",
    "two line breaks": b"first\n\n",
    "NUL": b"first\0second",
    "too long": b"x" + ODD,
}


@pytest.fixture(
    name="closed",
    scope="module",
    params=[DEVELOPMENT, PRODUCTION],
    ids=["development", "production"],
)
def _closed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A deployment that is not started. Each test starts one store."""
    with stack(tmp_path_factory.mktemp("closed"), request.param) as deployment:
        deployment.run("vitals", "secrets", "init")
        deployment.compose("create", "--no-build", "redis", "postgres")
        yield deployment


def secret(closed: Stack, name: str) -> Path:
    """Return the path of a store's password file, after removing the existing one."""
    names = {DEVELOPMENT: "docker/development.password", PRODUCTION: f"secrets/{name}_password.txt"}
    file = closed.folder / names[closed.files]
    file.rmdir() if file.is_dir() else file.unlink(missing_ok=True)
    return file


def put(closed: Stack, name: str, content: bytes) -> Path:
    """Write a store's password file so that every container can read it, and return its path."""
    file = secret(closed, name)
    file.write_bytes(content)
    file.chmod(0o444)
    return file


def refusal(closed: Stack, name: str, *user: str) -> CommandFailedError:
    """Start a store, which must fail by itself, and return the error."""
    command = ("docker", "compose", "--ansi", "never", "run", "--rm", "--no-deps", "-T")
    with pytest.raises(CommandFailedError) as failed:
        closed.run(*command, *user, name, timeout=60)
    return failed.value


def line(uid: int) -> str:
    """Return the message of a Redis that refuses to start."""
    return (
        f"redis_password: /run/secrets/redis_password must be a file that uid {uid} can read, "
        "with one line of 1 to 16384 bytes. Write the password into it, and chmod 0444 it.\n"
    )


def as_folder(file: Path) -> None:
    """Create a folder, as Docker does if the file to mount is missing."""
    file.mkdir()


def unreadable(file: Path) -> None:
    """Create a file that only root may read."""
    file.write_text("word")
    file.chmod(0o600)


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_redis_does_not_start_with_an_invalid_password(closed: Stack, content: bytes) -> None:
    """One line names the secret, the file and the remedy."""
    put(closed, "redis", content)
    failure = refusal(closed, "redis")
    assert (failure.code, failure.stderr) == (78, line(999 if closed.files == PRODUCTION else 0))


@pytest.mark.parametrize("make", [as_folder, unreadable])
def test_redis_does_not_start_if_it_can_not_read_the_file(
    closed: Stack, make: Callable[[Path], None]
) -> None:
    """Without capabilities a file's mode applies to root too."""
    make(secret(closed, "redis"))
    user = () if closed.files == PRODUCTION else ("--user", "999:999")
    failure = refusal(closed, "redis", *user)
    assert (failure.code, failure.stderr) == (78, line(999))


@pytest.mark.parametrize("name", ["redis", "postgres"])
def test_a_store_does_not_start_if_the_file_is_missing(closed: Stack, name: str) -> None:
    """Compose does not create a folder in its place."""
    file = secret(closed, name)
    assert str(file) in refusal(closed, name).stderr


def test_redis_and_its_health_check_use_the_password_that_vitals_reads(closed: Stack) -> None:
    """The health check fails if Redis requires no password."""
    file = put(closed, "redis", ODD)
    closed.compose("up", "--detach", "--wait", "--force-recreate", "redis")
    password = Secret("redis_password", file).read()

    def answer(*words: str, **auth: str) -> str:
        variables = [part for name, value in auth.items() for part in ("--env", f"{name}={value}")]
        return closed.compose("exec", "-T", *variables, "redis", "redis-cli", "-e", *words)

    assert answer("ping", REDISCLI_AUTH=password) == "PONG\n"
    with pytest.raises(CommandFailedError, match="NOAUTH"):
        answer("ping")
    check = closed.inspect("redis")["Config"]["Healthcheck"]["Test"][1]
    closed.exec("redis", "sh", "-c", check)
    answer("config", "set", "requirepass", "", REDISCLI_AUTH=password)
    with pytest.raises(CommandFailedError):
        closed.exec("redis", "sh", "-c", check)


@pytest.mark.parametrize("make", [Path.touch, as_folder])
def test_postgres_creates_no_database_without_a_password(
    closed: Stack, make: Callable[[Path], None]
) -> None:
    """The image itself refuses to."""
    make(secret(closed, "postgres"))
    assert refusal(closed, "postgres").code
    data = ("ls", "-A", "/var/lib/postgresql/data")
    assert closed.compose("run", "--rm", "--no-deps", "-T", "postgres", *data) == ""


def test_postgres_keeps_its_password_when_the_file_is_emptied(closed: Stack) -> None:
    """It reads the file for a new volume only."""
    for content in (b"word", b""):
        put(closed, "postgres", content)
        closed.compose("up", "--detach", "--wait", "--force-recreate", "postgres")
    ask = (
        "psql",
        "--host",
        "postgres",
        "--user",
        "vitals",
        "--no-password",
        "--command",
        "SELECT 1",
    )
    with pytest.raises(CommandFailedError, match="no password supplied"):
        closed.exec("postgres", *ask)


def test_the_stack_of_the_swarm_tests_starts_redis_as_compose_does() -> None:
    """With the same command, which also refuses to start without any secret."""
    files = (ROOT / DEVELOPMENT, ROOT / "tests/swarm/stores.yaml")
    compose, swarm = (yaml.safe_load(file.read_text())["services"]["redis"] for file in files)
    assert compose["command"] == swarm["command"]
    command = [word.replace("$$", "$") for word in swarm["command"]]
    with pytest.raises(CommandFailedError) as failed:
        run("docker", "run", "--rm", swarm["image"], *command)
    assert (failed.value.code, failed.value.stderr) == (78, line(0))
