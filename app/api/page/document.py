"""The page that an operator reads: one document that needs nothing from elsewhere."""

from base64 import b64encode
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import app
from app.api.bodies import moment
from app.api.findings import Finding
from app.api.page import words
from app.api.page.verdict import verdict
from app.api.page.view import rows


TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    auto_reload=False,
    lstrip_blocks=True,
    trim_blocks=True,
    undefined=StrictUndefined,
)
TEMPLATES.filters.update(clock=words.clock, duration=words.duration, iso=moment, rate=words.rate)


def page(finding: Finding) -> bytes:
    """Write the page; where the checks are not shown it is the code and the status alone."""
    code = HTTPStatus.OK if finding.passes else HTTPStatus.SERVICE_UNAVAILABLE
    if finding.report is None or finding.memory is None:
        status, detail = finding.status.word, finding.detail
        return _render("bare.html", status=status, code=code.value, detail=detail)
    return _render(
        "page.html",
        finding=finding,
        memory=finding.memory,
        code=code.value,
        verdict=verdict(finding, finding.report),
        rows=rows(finding.report, finding.memory),
        version=app.__version__,
    )


def _render(name: str, **context: Any) -> bytes:
    return TEMPLATES.get_template(name).render(context).encode()


def _hash(name: str) -> str:
    """Name a part of the page by what is in it, as its policy does."""
    return f"'sha256-{b64encode(sha256(_render(name)).digest()).decode()}'"


# The browser runs and shows what has these hashes, asks this instance alone, and shows the page
# in no frame.
POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_hash('page.css')}",
        f"script-src {_hash('page.js')}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
