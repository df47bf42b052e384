"""Faults of a Redis server, each a context manager that repairs it on exit."""

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from redis.exceptions import ResponseError

from tests.support.devservers import Valkey
from tests.support.faults.servers import LOAD_SLOWLY, admin, command, started_with


@contextlib.contextmanager
def configured(server: Valkey, name: str, value: str) -> Iterator[None]:
    """Change a setting, and restore it on exit."""
    with admin(server) as client:
        before = client.config_get(name)[name]
        client.config_set(name, value)
        try:
            yield
        finally:
            client.config_set(name, before)


@contextlib.contextmanager
def altered(server: Valkey, broken: str, repaired: str) -> Iterator[None]:
    """Send the command *broken*, and *repaired* on exit."""
    command(server, *broken.split())
    try:
        yield
    finally:
        command(server, *repaired.split())


def replica(server: Valkey) -> AbstractContextManager[None]:
    """Turn the server into a replica of a primary that does not exist."""
    return altered(server, "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE")


def forbidden(server: Valkey, command: str) -> AbstractContextManager[None]:
    """Deny a command to the default user, open connections included."""
    return altered(server, f"ACL SETUSER default -{command}", f"ACL SETUSER default +{command}")


def with_user(server: Valkey, name: str) -> AbstractContextManager[None]:
    """Create a user with all permissions and the server's password."""
    return altered(server, enabling(server, name), f"ACL DELUSER {name}")


def without_user(server: Valkey, name: str) -> AbstractContextManager[None]:
    """Delete a user, which ends the user's sessions."""
    return altered(server, f"ACL DELUSER {name}", enabling(server, name))


def user_disabled(server: Valkey, name: str) -> AbstractContextManager[None]:
    """Disable a user; open sessions continue."""
    return altered(server, f"ACL SETUSER {name} off", enabling(server, name))


def enabling(server: Valkey, name: str) -> str:
    """Return the command that creates or enables a user with all permissions."""
    return f"ACL SETUSER {name} on >{server.password_file.read_text()} ~* +@all"


def fewer_databases(server: Valkey) -> AbstractContextManager[None]:
    """Restart the server with one database."""
    return started_with(server, "--databases", "1")


@contextlib.contextmanager
def loading(server: Valkey) -> Iterator[None]:
    """Restart the server with data that it loads slowly."""
    with admin(server) as client:
        for number in range(600):
            client.set(f"key:{number}", "value" * 1000)
        client.config_set("rdbcompression", "no")
        client.save()
    with started_with(server, *LOAD_SLOWLY):
        try:
            yield
        finally:
            (server.folder / "dump.rdb").unlink()


@contextlib.contextmanager
def failing_save(server: Valkey) -> Iterator[None]:
    """Make a snapshot fail, because the folder of the server is read-only."""
    mode = server.folder.stat().st_mode
    with configured(server, "save", "3600 1"), admin(server) as client:
        server.folder.chmod(0o500)
        try:
            client.bgsave()
            while client.info("persistence")["rdb_last_bgsave_status"] != "err":
                time.sleep(0.001)
            yield
        finally:
            server.folder.chmod(mode)


@contextlib.contextmanager
def busy(server: Valkey) -> Iterator[None]:
    """Run an endless script, so that the server answers other commands with BUSY."""
    with (
        configured(server, "busy-reply-threshold", "50"),
        ThreadPoolExecutor(1) as thread,
        admin(server) as client,
    ):
        script = thread.submit(command, server, "EVAL", "while true do end", "0")
        with contextlib.suppress(ResponseError):
            while client.ping():
                time.sleep(0.001)
        try:
            yield
        finally:
            client.script_kill()
            script.exception()


@contextlib.contextmanager
def clients_killed(server: Valkey) -> Iterator[None]:
    """Close every other connection with CLIENT KILL."""
    with admin(server) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        yield
