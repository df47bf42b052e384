"""The system's proxies, each on the very configuration that `vitals probes` prints."""

import os
import re
import socket
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from app.devservers.servers import Server
from tests.service import ROOT, VITALS, clean
from tests.system.servers import program


ADDRESS = re.compile(r"192\.0\.2\.(\d+):8000")


def printed(kind: str, environ: Mapping[str, str]) -> str:
    """Tell what `vitals probes` prints under these settings."""
    told = subprocess.run(
        (*VITALS, "probes", kind),
        cwd=ROOT,
        env={**clean(os.environ), **environ, "PORT": "8000"},
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout


class Proxy(Server):
    """A proxy before some ports of this machine.

    What is printed is changed where it has to be: addresses, and where a program leaves files.

    Attributes:
        file: where its configuration stands.

    """

    ending = "SIGKILL"  # it keeps nothing
    kind = ""
    name = ""

    def __init__(self, environ: Mapping[str, str], behind: Sequence[int]) -> None:
        super().__init__()
        self.file = self.folder / self.name
        addresses = dict(zip(("11", "12", "13"), behind, strict=True))
        text = ADDRESS.sub(
            lambda found: f"127.0.0.1:{addresses[found[1]]}", printed(self.kind, environ)
        )
        for old, new in self.changes.items():
            assert old in text
            text = text.replace(old, new)
        self.file.write_text(text)
        self.give(self.file)

    @property
    def changes(self) -> dict[str, str]:
        """What is replaced by what."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def title(self) -> str:
        """How its title does not begin: it makes no processes that outlive it."""
        return f"{self.folder.name} "

    def ready(self) -> bool:
        """Whether it listens."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False


class HAProxy(Proxy):
    """The system's HAProxy."""

    kind = "haproxy"
    name = "haproxy.cfg"

    @property
    def changes(self) -> dict[str, str]:
        """Where it listens."""
        return {"bind :80": f"bind 127.0.0.1:{self.port}"}

    def command(self) -> tuple[list[str], str]:
        """Run it in the foreground."""
        return [str(program("haproxy")), "-db", "-f", str(self.file)], ""


class Caddy(Proxy):
    """The system's Caddy."""

    kind = "caddy"
    name = "Caddyfile"

    @property
    def changes(self) -> dict[str, str]:
        """Where it listens, and where it keeps what it writes."""
        options = f"{{\n\tadmin off\n\tstorage file_system {self.folder}\n}}\n\n(vitals) {{"
        return {"{$DOMAIN:localhost}": self.url, "(vitals) {": options}

    def command(self) -> tuple[list[str], str]:
        """Run it in the foreground."""
        return [str(program("caddy")), "run", "--config", str(self.file)], ""


class SecureCaddy(Caddy):
    """The same for a name, with a certificate of its own authority, as for `localhost`."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://localhost:{self.port}"

    @property
    def changes(self) -> dict[str, str]:
        """Nor does it listen on port 80 or on UDP, or tell the system whom to trust."""
        quiet = "\tservers {\n\t\tprotocols h1 h2\n\t}\n"  # HTTP/3 is spoken over UDP
        more = f"\tauto_https disable_redirects\n\tskip_install_trust\n{quiet}"
        changes = super().changes
        return {**changes, "(vitals) {": changes["(vitals) {"].replace("{\n", "{\n" + more, 1)}

    def ready(self) -> bool:
        """Whether it shows a certificate, which it makes after it has begun to listen."""
        with suppress(OSError):
            return bool(ssl.get_server_certificate(("localhost", self.port), timeout=1))
        return False

    @property
    def authority(self) -> Path:
        """Whoever trusts this certificate trusts its own."""
        return self.folder / "pki/authorities/local/root.crt"


class Nginx(Proxy):
    """The system's nginx."""

    ending = "SIGTERM"  # its workers would outlive it
    kind = "nginx"
    name = "nginx.conf"

    @property
    def changes(self) -> dict[str, str]:
        """Where it listens, and where it keeps what it writes."""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        files = "".join(f"    {kind}_temp_path {self.folder};\n" for kind in kinds)
        return {
            "listen 80;": f"listen 127.0.0.1:{self.port};",
            "http {\n": f"http {{\n    access_log off;\n{files}",
        }

    def command(self) -> tuple[list[str], str]:
        """Run it in the foreground."""
        extra = f"daemon off; pid {self.folder}/pid; error_log stderr;"
        return [str(program("nginx")), "-c", str(self.file), "-g", extra], ""


PROXIES: Mapping[str, type[Proxy]] = {"haproxy": HAProxy, "caddy": Caddy, "nginx": Nginx}


def files(folder: Path = ROOT / "deploy") -> dict[str, Path]:
    """Tell where the configuration of each proxy lies in this checkout."""
    return {kind: folder / kind / proxy.name for kind, proxy in PROXIES.items()}
