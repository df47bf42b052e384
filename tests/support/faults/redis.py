"""Faults of a Redis server, each a context manager that repairs it on exit."""

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from redis.exceptions import ResponseError

from tests.support.devservers import Valkey
from tests.support.faults.servers import LOAD_SLOWLY, admin, command


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
def replica(server: Valkey) -> Iterator[None]:
    """Turn the server into a replica of a primary that does not exist."""
    with admin(server) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            yield
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")


@contextlib.contextmanager
def loading(server: Valkey) -> Iterator[None]:
    """Restart the server with data that it loads slowly."""
    with admin(server) as client:
        for number in range(600):
            client.set(f"key:{number}", "value" * 1000)
        client.config_set("rdbcompression", "no")
        client.save()
    before = server.arguments
    server.arguments = (*before, *LOAD_SLOWLY)
    server.stop()
    server.start()
    try:
        yield
    finally:
        server.arguments = before
        (server.folder / "dump.rdb").unlink()
        server.stop()
        server.start()


@contextlib.contextmanager
def forbidden(server: Valkey, command: str) -> Iterator[None]:
    """Deny a command to the default user, open connections included."""
    with admin(server) as client:
        client.execute_command("ACL", "SETUSER", "default", f"-{command}")
        try:
            yield
        finally:
            client.execute_command("ACL", "SETUSER", "default", f"+{command}")


@contextlib.contextmanager
def failing_save(server: Valkey) -> Iterator[None]:
    """Make a snapshot fail, because the folder of the server is read-only."""
    with configured(server, "save", "3600 1"), read_only(server.folder), admin(server) as client:
        client.bgsave()
        while client.info("persistence")["rdb_last_bgsave_status"] != "err":
            time.sleep(0.001)
        yield


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only."""
    mode = folder.stat().st_mode
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(mode)


@contextlib.contextmanager
def fewer_databases(server: Valkey) -> Iterator[None]:
    """Restart the server with one database."""
    before = server.arguments
    server.arguments = (*before, "--databases", "1")
    server.start()
    try:
        yield
    finally:
        server.arguments = before
        server.start()


@contextlib.contextmanager
def with_user(server: Valkey, name: str) -> Iterator[None]:
    """Create a user with all permissions and the server's password."""
    enable_user(server, name)
    try:
        yield
    finally:
        command(server, "ACL", "DELUSER", name)


@contextlib.contextmanager
def without_user(server: Valkey, name: str) -> Iterator[None]:
    """Delete a user, which ends the user's sessions."""
    command(server, "ACL", "DELUSER", name)
    try:
        yield
    finally:
        enable_user(server, name)


@contextlib.contextmanager
def user_disabled(server: Valkey, name: str) -> Iterator[None]:
    """Disable a user; open sessions continue."""
    command(server, "ACL", "SETUSER", name, "off")
    try:
        yield
    finally:
        enable_user(server, name)


def enable_user(server: Valkey, name: str) -> None:
    """Create or enable a user with all permissions."""
    password = server.password_file.read_text()
    command(server, "ACL", "SETUSER", name, "on", f">{password}", "~*", "+@all")


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
