"""What can befall a Redis: a block each, in which it lasts, and after which it is mended."""

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from redis.exceptions import ResponseError

from app.devservers import Valkey
from tests.faults.servers import LOAD_SLOWLY, admin, command


@contextlib.contextmanager
def configured(server: Valkey, name: str, value: str) -> Iterator[None]:
    """Change a setting, and change it back."""
    with admin(server) as client:
        before = client.config_get(name)[name]
        client.config_set(name, value)
        try:
            yield
        finally:
            client.config_set(name, before)


@contextlib.contextmanager
def replica(server: Valkey) -> Iterator[None]:
    """Make it follow a primary that is not there."""
    with admin(server) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            yield
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")


@contextlib.contextmanager
def loading(server: Valkey) -> Iterator[None]:
    """Have it load its data again, slowly."""
    with admin(server) as client:
        for number in range(120):
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
    """Take a command from everybody who is connected or connects."""
    with admin(server) as client:
        client.execute_command("ACL", "SETUSER", "default", f"-{command}")
        try:
            yield
        finally:
            client.execute_command("ACL", "SETUSER", "default", f"+{command}")


@contextlib.contextmanager
def unsaved(server: Valkey) -> Iterator[None]:
    """Let it fail to save where it is told to: its folder takes no more files."""
    with configured(server, "save", "3600 1"), closed(server.folder), admin(server) as client:
        client.bgsave()
        while client.info("persistence")["rdb_last_bgsave_status"] != "err":
            time.sleep(0.001)
        yield


@contextlib.contextmanager
def closed(folder: Path) -> Iterator[None]:
    """Let nobody write to a folder."""
    mode = folder.stat().st_mode
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(mode)


@contextlib.contextmanager
def fewer_databases(server: Valkey) -> Iterator[None]:
    """Have it keep none but the first."""
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
    """Have a user who may do everything, with the server's password."""
    let_in(server, name)
    try:
        yield
    finally:
        command(server, "ACL", "DELUSER", name)


@contextlib.contextmanager
def without_user(server: Valkey, name: str) -> Iterator[None]:
    """Take a user away; open sessions of that user end."""
    command(server, "ACL", "DELUSER", name)
    try:
        yield
    finally:
        let_in(server, name)


@contextlib.contextmanager
def locked_out(server: Valkey, name: str) -> Iterator[None]:
    """Let a user no more in; open sessions stay."""
    command(server, "ACL", "SETUSER", name, "off")
    try:
        yield
    finally:
        let_in(server, name)


def let_in(server: Valkey, name: str) -> None:
    """Let a user do everything."""
    password = server.password_file.read_text()
    command(server, "ACL", "SETUSER", name, "on", f">{password}", "~*", "+@all")


@contextlib.contextmanager
def busy(server: Valkey) -> Iterator[None]:
    """Have it run a script that has no end, and say so to whoever asks meanwhile."""
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
    """Cut every connection but the one that says so."""
    with admin(server) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        yield
