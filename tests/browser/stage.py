"""A server for the example states of the page."""

from functools import cache
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

from app.api.page import POLICY, render_page
from tests.unit.api.scenes import PAGE_STATES, PageState, operator


@cache
def page_state(name: str) -> PageState:
    """Build an example state, once."""
    return PAGE_STATES[name]()


class Pages(BaseHTTPRequestHandler):
    """Answers as `/health` does, with the state that the query names.

    `client=operator` shows what operators see, `refused` the page for an expired token, and
    `anonymous` and `refused-anonymous` pages without details. Other clients have no token.
    """

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path != "/health":
            self.send_error(404)
            return
        query = dict(parse_qsl(url.query))
        client = query.get("client", "")
        view = operator() if client == "operator" else None
        refusal = None if view else "has expired" * client.startswith("refused")
        verdict = page_state(query["state"]).verdict(view, refusal)
        self.send_response(200 if verdict.passes else 503)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        shown = verdict.without_details if client.endswith("anonymous") else verdict
        self.wfile.write(render_page(shown))

    def log_message(self, *_: object) -> None:
        """Log nothing."""
