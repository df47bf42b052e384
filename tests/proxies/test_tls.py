"""The Caddyfile of the profile `edge`, with a host name."""

import http.client
import ssl
from contextlib import closing

from tests.proxies.conftest import DRAIN
from tests.proxies.proxies import SecureCaddy
from tests.support.devservers import Valkey
from tests.support.ports import free_port
from tests.support.service import on


def test_caddy_has_a_certificate_for_its_name(valkey: Valkey) -> None:
    """Without an instance it answers 503, and it hides the metrics."""
    environ = {**on(valkey=valkey), "DRAIN_SECONDS": f"{DRAIN}"}
    with SecureCaddy(environ, [free_port() for _ in range(3)]) as caddy:
        trusting = ssl.create_default_context(cafile=str(caddy.ca_file))
        codes = {}
        for path in ("/metrics", "/", "/health/ready"):
            connection = http.client.HTTPSConnection(
                "localhost", caddy.port, timeout=10, context=trusting
            )
            with closing(connection):
                connection.request("GET", path)
                codes[path] = connection.getresponse().status
    assert codes == {"/metrics": 404, "/": 503, "/health/ready": 503}
