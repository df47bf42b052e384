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


def print_configuration(kind: str, environ: Mapping[str, str], *options: str) -> str:
    """Return what `vitals probes` prints with these variables."""
    printed = subprocess.run(
        (*VITALS, "probes", kind, *options),
        cwd=ROOT,
        env={**clean(os.environ), "PORT": "8000", **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return printed.stdout


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
    kind = ""
    name = ""
    address = "192.0.2.{}:8000"
    local = "127.0.0.1:{}"

    def __init__(
        self, environ: Mapping[str, str], behind: Sequence[int] = (), *options: str
    ) -> None:
        super().__init__()
        self.file = self.folder / self.name
        text = print_configuration(self.kind, environ, *options)
        for number, port in enumerate(behind, 11):
            assert self.address.format(number) in text
            text = text.replace(self.address.format(number), self.local.format(port))
        for old, new in self.changes.items():
            assert old in text
            text = text.replace(old, new)
        self.file.write_text(text)
        self.give(self.file)

    @property
    def changes(self) -> dict[str, str]:
        """The replacements in the printed configuration."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """The URL of the proxy."""
        return f"http://127.0.0.1:{self.port}"


class HAProxy(Proxy):
    """The system's HAProxy."""

    kind = "haproxy"
    name = "haproxy.cfg"

    @property
    def changes(self) -> dict[str, str]:
        """The replacement of its address."""
        return {"bind :80": f"bind 127.0.0.1:{self.port}"}

    def command(self) -> tuple[list[str], str]:
        """Return the command that runs it in the foreground."""
        return [str(program("haproxy")), "-db", "-f", str(self.file)], ""


# The beginning of each configuration.
HEAD = "# Caddy 2.6 or newer"


class Caddy(Proxy):
    """The system's Caddy."""

    kind = "caddy"
    name = "Caddyfile"

    @property
    def changes(self) -> dict[str, str]:
        """The replacements of its address and of the paths of its files."""
        options = f"{{\n\tadmin off\n\tstorage file_system {self.folder}\n}}\n"
        return {"{$DOMAIN:localhost}": self.url, HEAD: options + HEAD}

    def command(self) -> tuple[list[str], str]:
        """Return the command that runs it in the foreground."""
        return [str(program("caddy")), "run", "--config", str(self.file)], ""


class SecureCaddy(Caddy):
    """Caddy with HTTPS for `localhost`, with a certificate of its own CA."""

    @property
    def url(self) -> str:
        """The URL of the proxy."""
        return f"https://localhost:{self.port}"

    @property
    def changes(self) -> dict[str, str]:
        """Also do not listen on port 80 or UDP, and do not install the CA in the system."""
        quiet = "\tservers {\n\t\tprotocols h1 h2\n\t}\n"  # HTTP/3 uses UDP
        more = f"\tauto_https disable_redirects\n\tskip_install_trust\n{quiet}"
        changes = super().changes
        return {**changes, HEAD: changes[HEAD].replace("{\n", "{\n" + more, 1)}

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

    @property
    def changes(self) -> dict[str, str]:
        """The replacements of its address and of the paths of its files."""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        files = "".join(f"    {kind}_temp_path {self.folder};\n" for kind in kinds)
        return {
            "listen 80;": f"listen 127.0.0.1:{self.port};",
            "http {\n": f"http {{\n    access_log off;\n{files}",
        }

    def command(self) -> tuple[list[str], str]:
        """Return the command that runs it in the foreground."""
        extra = f"daemon off; pid {self.folder}/pid; error_log stderr;"
        return [str(program("nginx")), "-c", str(self.file), "-g", extra], ""


class Envoy(Proxy):
    """The Envoy of a wheel."""

    kind = "envoy"
    name = "envoy.yaml"
    address = "address: 192.0.2.{}, port_value: 8000"
    local = "address: 127.0.0.1, port_value: {}"

    @property
    def changes(self) -> dict[str, str]:
        """The replacement of its address."""
        old = "address: 0.0.0.0, port_value: 80}"
        return {old: f"address: 127.0.0.1, port_value: {self.port}}}"}

    def command(self) -> tuple[list[str], str]:
        """Return the command. The servers' user may not be able to reach this checkout."""
        envoy = self.folder / "envoy"
        if not envoy.exists():
            assert ENVOY, "make .venv-envoy/bin/envoy"
            shutil.copy(ENVOY, envoy)
            self.give(envoy)
        options = ("--concurrency", "2", "--disable-hot-restart", "--log-level", "warning")
        return [str(envoy), "-c", str(self.file), *options], ""


PROXIES: Mapping[str, type[Proxy]] = {
    "haproxy": HAProxy,
    "caddy": Caddy,
    "envoy": Envoy,
    "nginx": Nginx,
}


def files(folder: Path = ROOT / "deploy") -> dict[str, Path]:
    """Return the configuration file of each proxy in this checkout."""
    return {kind: folder / kind / proxy.name for kind, proxy in PROXIES.items()}
