"""The system's proxies, with the configurations that `vitals probes` prints."""

import os
import shutil
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.support.devservers.servers import DevServer
from tests.support.service import ROOT, VITALS, clean
from tests.system.servers import program


ENVOY = next(ROOT.glob(".venv-envoy/lib/python*/site-packages/envoy/_bin/envoy"), None)


class Proxy(DevServer):
    """A proxy in front of instances on this machine.

    Only addresses and the paths of the program's files are changed in the printed configuration.

    Args:
        behind: the ports of the instances.
        options: further arguments of `vitals probes`.

    Attributes:
        file: the configuration file.
    """

    stop_signal = "SIGKILL"  # it has no data to save
    kind: str
    name: str
    address = "192.0.2.{}:8000"
    local = "127.0.0.1:{}"

    def __init__(
        self, environ: Mapping[str, str], behind: Sequence[int] = (), *options: str
    ) -> None:
        super().__init__()
        command = [*VITALS, "probes", self.kind, *options]
        environ = {**clean(os.environ), "PORT": "8000", **environ}
        text = subprocess.check_output(command, cwd=ROOT, env=environ, text=True)
        instances = {
            self.address.format(number): self.local.format(port)
            for number, port in enumerate(behind, 11)
        }
        for old, new in {**instances, **self.changes()}.items():
            assert old in text
            text = text.replace(old, new)
        self.file = self.write(self.name, text)

    def changes(self) -> dict[str, str]:
        """Return the replacements in the printed configuration."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class HAProxy(Proxy):
    """The system's HAProxy."""

    kind = "haproxy"
    name = "haproxy.cfg"

    def changes(self) -> dict[str, str]:
        return {"bind :80": f"bind 127.0.0.1:{self.port}"}

    def command(self) -> list[str]:
        return [str(program("haproxy")), "-db", "-f", str(self.file)]


# The beginning of each configuration.
HEAD = "# Caddy 2.6 or newer"


class Caddy(Proxy):
    """The system's Caddy."""

    kind = "caddy"
    name = "Caddyfile"
    more = ""  # global options

    def changes(self) -> dict[str, str]:
        options = f"{{\n{self.more}\tadmin off\n\tstorage file_system {self.folder}\n}}\n"
        return {"{$DOMAIN:localhost}": self.url, HEAD: options + HEAD}

    def command(self) -> list[str]:
        return [str(program("caddy")), "run", "--config", str(self.file)]


class SecureCaddy(Caddy):
    """Caddy with HTTPS for `localhost`, with a certificate of its own CA.

    It does not listen on port 80 or UDP (HTTP/3), and does not install the CA in the system.
    """

    more = (
        "\tauto_https disable_redirects\n\tskip_install_trust\n"
        "\tservers {\n\t\tprotocols h1 h2\n\t}\n"
    )

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def ready(self) -> bool:
        """Return whether it has a certificate, which it creates after it starts to listen."""
        with suppress(OSError):
            return bool(ssl.get_server_certificate(("localhost", self.port), timeout=1))
        return False

    @property
    def ca_file(self) -> Path:
        """The certificate of its CA."""
        return self.folder / "pki/authorities/local/root.crt"


class Nginx(Proxy):
    """The system's nginx."""

    stop_signal = "SIGTERM"  # SIGKILL would leave its workers running
    kind = "nginx"
    name = "nginx.conf"

    def changes(self) -> dict[str, str]:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        files = "".join(f"    {kind}_temp_path {self.folder};\n" for kind in kinds)
        return {
            "listen 80;": f"listen 127.0.0.1:{self.port};",
            "http {\n": f"http {{\n    access_log off;\n{files}",
        }

    def command(self) -> list[str]:
        extra = f"daemon off; pid {self.folder}/pid; error_log stderr;"
        return [str(program("nginx")), "-c", str(self.file), "-g", extra]


class Envoy(Proxy):
    """The Envoy of a wheel."""

    kind = "envoy"
    name = "envoy.yaml"
    address = "address: 192.0.2.{}, port_value: 8000"
    local = "address: 127.0.0.1, port_value: {}"

    def changes(self) -> dict[str, str]:
        old = "address: 0.0.0.0, port_value: 80}"
        return {old: f"address: 127.0.0.1, port_value: {self.port}}}"}

    def command(self) -> list[str]:
        """Return the command. The servers' user may not be able to reach this checkout."""
        envoy = self.folder / "envoy"
        if not envoy.exists():
            assert ENVOY, "make .venv-envoy/bin/envoy"
            shutil.copy(ENVOY, envoy)
            self.give(envoy)
        options = ("--concurrency", "2", "--disable-hot-restart", "--log-level", "warning")
        return [str(envoy), "-c", str(self.file), *options]


KINDS: tuple[type[Proxy], ...] = (HAProxy, Caddy, Envoy, Nginx)
PROXIES = {proxy.kind: proxy for proxy in KINDS}
