"""Which format each client gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.formats import FORMATS, JSON, Format, negotiate
from tests.unit.api.scene import VARY, ApiClient


PAGE = Format("html", "text/html", lambda _: b"")

# The real page has to be rendered, so this one replaces it.
OFFERED = (JSON, PAGE, *(one for one in FORMATS if one.name not in {"json", "html"}))

CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;"
    "q=0.8,application/signed-exchange;v=b3;q=0.7"
)
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,image/png,image/svg+xml,*/*;q=0.8"
OPERA = (
    "text/html, application/xml;q=0.9, application/xhtml+xml, image/png, image/webp, image/jpeg, "
    "image/gif, image/x-xbitmap, */*;q=0.1"
)
IE8 = (
    "image/jpeg, application/x-ms-application, image/gif, application/xaml+xml, image/pjpeg, "
    "application/x-ms-xbap, */*"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_1 = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
    "q=0.7,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
)
SPRING = (
    "application/vnd.spring-boot.actuator.v2+json,application/vnd.spring-boot.actuator.v1+json,"
    "application/json"
)

CLIENTS = [
    # Browsers, and libraries that send the same header.
    (CHROME, "html"),
    (FIREFOX, "html"),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"),  # Safari
    ("text/html, application/xhtml+xml, image/jxr, */*", "html"),  # Internet Explorer 11
    (IE8, "json"),
    (OPERA, "html"),
    ("text/html, text/plain, text/sgml, text/css, application/xhtml+xml, */*;q=0.01", "html"),
    ("text/html, text/*;q=0.5, image/*, application/*", "html"),  # w3m
    ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "json"),  # <img>
    ("text/css,*/*;q=0.1", "json"),  # <link>
    ("text/event-stream", "json"),  # EventSource
    ("text/html, */*; q=0.01", "html"),  # jQuery
    ("application/json, text/javascript, */*; q=0.01", "json"),  # jQuery
    ("application/json, text/plain, */*", "json"),  # axios
    # Command lines and libraries.
    ("*/*", "json"),  # curl, wget, requests, fetch, kubelet
    ("", "json"),  # Go, HAProxy, ELB, Envoy, Caddy, Traefik
    ("application/json, */*;q=0.5", "json"),  # HTTPie
    ("application/json, */*", "json"),  # kubectl
    ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "html"),  # Java
    ("*", "json"),
    ("application/json", "json"),
    ("application/json;charset=utf-8", "json"),
    ("application/json; odata=verbose", "json"),  # PowerShell
    ("application/xml", "json"),
    ("application/*", "json"),
    # Monitoring.
    (PROMETHEUS_3, "text"),
    (PROMETHEUS_1, "text"),
    ("text/plain, text/*, */*", "text"),  # Consul
    ("text/plain", "text"),
    ("text/*", "text"),
    ("TEXT/PLAIN ; Q=1", "text"),
    (SPRING, "json"),
    ("application/health+json", "health+json"),
    ("application/health+json, application/json;q=0.9, */*;q=0.1", "health+json"),
    ("application/health+json;q=0.5, application/json", "json"),
    ("application/health+json, */*", "health+json"),
    ("application/json;q=0, application/health+json;q=0.1", "health+json"),
    # A format with q=0 is sent only if nothing else is acceptable.
    ("text/html;q=0, */*", "json"),
    ("application/json;q=0, text/*", "text"),
    ("text/html;q=0.1, application/json", "json"),
    ("*/*;q=0", "json"),
    ("text/plain;q=0", "json"),
    # Garbage.
    ("garbage", "json"),
    ("text/plain/plain", "json"),
    (",;,=;q", "json"),
    ('text/plain;a="b,c"', "json"),
    ("text/plain;q=nonsense", "text"),
    ("text/plain," * 400, "json"),
]


@pytest.mark.parametrize(("accept", "expected"), CLIENTS)
def test_every_client_gets_a_format_that_it_reads(accept: str, expected: str) -> None:
    """A page only if `Accept` names HTML, and JSON if nothing matches."""
    assert negotiate(accept, OFFERED, is_navigation=True).name == expected


@pytest.mark.parametrize(("accept", "expected"), CLIENTS)
def test_a_monitor_that_sends_what_browsers_send_gets_json(accept: str, expected: str) -> None:
    """Uptime Kuma and UptimeRobot do. A client that accepts HTML alone still gets the page."""
    is_vague = expected == "html" and "*/*" in accept
    other = "text" if "text/plain" in accept else "json"
    assert negotiate(accept, OFFERED).name == (other if is_vague else expected)


@pytest.mark.parametrize(
    ("header", "content_type"),
    [
        ({"Sec-Fetch-Mode": "navigate"}, "text/html; charset=utf-8"),
        ({"Upgrade-Insecure-Requests": "1"}, "text/html; charset=utf-8"),
        ({"Sec-Fetch-Mode": "cors"}, "application/json"),
        ({"Upgrade-Insecure-Requests": "0"}, "application/json"),
        ({}, "application/json"),
    ],
)
def test_a_browser_that_navigates_gets_the_page(
    api_client: ApiClient, header: dict[str, str], content_type: str
) -> None:
    reply = api_client.get("/health", headers={"Accept": FIREFOX, **header})
    assert reply.headers["content-type"] == content_type
    assert reply.headers["vary"] == VARY == api_client.get("/health").headers["vary"]


def test_a_format_that_is_not_offered_becomes_json() -> None:
    """Never a 406: a probe needs an answer."""
    assert negotiate("text/html", (JSON,)) is JSON


@given(st.text(st.sampled_from('*/;,="\\. qaé\t+-') | st.characters(max_codepoint=255)))
def test_no_accept_header_raises_an_error(accept: str) -> None:
    """Whatever a client sends."""
    assert negotiate(accept, OFFERED) in OFFERED
    assert negotiate(f"text/plain{accept}", OFFERED) in OFFERED


def test_several_accept_headers_are_combined(api_client: ApiClient) -> None:
    """RFC 9110, section 5.3: a list may be split into several headers."""
    headers = [("Accept", "application/json;q=0.5"), ("Accept", "text/plain")]
    assert api_client.get("/health", headers=headers).headers["content-type"] == (
        "text/plain; charset=utf-8"
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("format=json", "application/json"),
        ("format=health+json", "application/health+json"),
        ("format=health%2Bjson", "application/health+json"),
        ("format=text", "text/plain; charset=utf-8"),
        ("verbose", "text/plain; charset=utf-8"),
        ("verbose=1&exclude=redis", "text/plain; charset=utf-8"),
        ("verbose&format=json", "application/json"),
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "text/plain;q=0, application/xml"])
def test_the_query_takes_precedence_over_accept(
    api_client: ApiClient, query: str, expected: str, accept: str
) -> None:
    """Browsers send `Accept` on their own, but not a query."""
    reply = api_client.get(f"/health?{query}", headers={"Accept": accept})
    assert (reply.status_code, reply.headers["content-type"]) == (200, expected)


@pytest.mark.parametrize("name", ["yaml", "", "JSON", "health", "application/json"])
def test_an_unknown_format_is_refused_with_the_list_of_formats(
    api_client: ApiClient, name: str
) -> None:
    """Names are case-sensitive."""
    reply = api_client.get(f"/health/live?format={name}")
    assert reply.status_code == 400
    assert reply.json()["detail"].startswith("format must be json or health+json or ")
